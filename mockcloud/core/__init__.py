"""The rules, pure: no I/O, no clock, no randomness, no asyncio. Time, ids and seeds are passed in (`core.ports`)."""
