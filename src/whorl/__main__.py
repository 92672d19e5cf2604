"""`python -m whorl`: the command line, for an interpreter whose scripts are not on the path. See `whorl.cli.main`."""

from __future__ import annotations

import sys

from whorl.cli.main import main

if __name__ == "__main__":
    if getattr(sys, "frozen", False):
        from multiprocessing import freeze_support

        freeze_support()
    sys.exit(main())
