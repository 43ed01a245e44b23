"""``python -m imagehub.emulators.samples``."""

import sys

from imagehub.emulators.samples import main

if __name__ == "__main__":
    sys.exit(main())
