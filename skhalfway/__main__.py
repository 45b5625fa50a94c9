"""The command line, as ``python -m skhalfway``."""

from __future__ import annotations

import sys

from skhalfway.cli import main

if __name__ == "__main__":
    sys.exit(main())
