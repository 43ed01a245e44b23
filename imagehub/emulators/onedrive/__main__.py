"""``python -m imagehub.emulators.onedrive``, or ``python imagehub/emulators/onedrive``.

The second form starts much faster, because it does not import the hub.
"""

import sys
from pathlib import Path

if __package__:
    from .program import main
else:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from onedrive.program import main  # type: ignore[import-not-found, no-redef, unused-ignore]

sys.exit(main())
