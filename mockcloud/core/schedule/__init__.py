"""Schedules: when they are due (`spec`), what they start (`machine`), how they look from outside (`views`)."""
