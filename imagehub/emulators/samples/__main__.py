"""``python -m imagehub.emulators.samples``."""

import os
import signal
import sys
from io import TextIOWrapper

from imagehub.emulators.samples import main


def end_all(*_: object) -> None:
    """The drawing processes, which wait for work for ever, end with this one."""
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    # Where this program leads its process group, nobody else is in it but those it has started.
    if os.getpgid(0) == os.getpid():
        signal.signal(signal.SIGTERM, end_all)
    # Large pictures come and go all the time. The drawing processes, which inherit this, keep
    # 96 MB each instead of asking the system anew: it saves two thirds of the system's time.
    # Source: Pillow handbook, "Block allocator".
    os.environ.setdefault("PILLOW_BLOCK_SIZE", "4m")
    os.environ.setdefault("PILLOW_BLOCKS_MAX", "24")
    # Titles are in many scripts, and not every terminal can show them all.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
