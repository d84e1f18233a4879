"""`python -m kpkit` is the same as `kpkit`."""

from __future__ import annotations

import sys

from kpkit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
