"""``python -m imagehub.emulators.samples``."""

import os
import signal
import sys
from io import TextIOWrapper

from imagehub.emulators.samples import main


def end_all(*_: object) -> None:
    """End the drawing processes with this one; they would wait for work forever."""
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    # If this program leads its process group, all others in it were started by this program.
    if os.getpgid(0) == os.getpid():
        signal.signal(signal.SIGTERM, end_all)
    # Large pictures are allocated and freed all the time. The drawing processes, which inherit this
    # setting, keep 96 MB each instead of returning it, which saves two thirds of the system time.
    # Source: Pillow handbook, "Block allocator".
    os.environ.setdefault("PILLOW_BLOCK_SIZE", "4m")
    os.environ.setdefault("PILLOW_BLOCKS_MAX", "24")
    # Titles are in many scripts, and not every terminal can show them all.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
