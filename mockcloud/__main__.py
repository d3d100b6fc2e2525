"""The command line: `mockcloud`, and `python -m mockcloud`. Imports nothing until Ctrl-C is heeded."""

import os
import signal

_INTERRUPTED = 130  # as a shell has it: 128 and the signal's number


def main() -> None:
    """Run a command. Interrupted, it ends at once and says nothing, in the middle of its imports too."""
    if (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):  # else whoever started it has it ignored
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(_INTERRUPTED))
    from mockcloud.cli.main import main as commands

    commands()


if __name__ == "__main__":
    main()
