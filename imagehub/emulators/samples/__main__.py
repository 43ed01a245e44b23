"""``python -m imagehub.emulators.samples``."""

import os
import sys
from io import TextIOWrapper

from imagehub.emulators.samples import main

if __name__ == "__main__":
    # Large pictures come and go all the time. The drawing processes, which inherit this, keep
    # 96 MB each instead of asking the system anew: it saves two thirds of the system's time.
    # Source: Pillow handbook, "Block allocator".
    os.environ.setdefault("PILLOW_BLOCK_SIZE", "4m")
    os.environ.setdefault("PILLOW_BLOCKS_MAX", "24")
    # Titles are in many scripts, and not every terminal can show them all.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
