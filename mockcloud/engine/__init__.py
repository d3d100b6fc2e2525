"""One region at work.

Load a run, let `core` decide, commit, then notify. Timers, task queues and long polls.
"""
