"""``python -m imagehub.emulators.samples``."""

import sys
from io import TextIOWrapper

from imagehub.emulators.samples import main

if __name__ == "__main__":
    # Titles are in many scripts, and not every terminal can show them all.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
