"""``python -m imagehub.emulators.onedrive``."""

import sys

from .program import main

sys.exit(main())
