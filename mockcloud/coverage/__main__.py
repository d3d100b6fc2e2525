"""`python -m mockcloud.coverage FILE` writes the coverage page there; without FILE, to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from mockcloud.coverage.page import page

if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page())
    else:
        sys.stdout.write(page())
