"""The worker as ``imagehub worker`` runs it, but quicker to notice that another one is gone.

``python -m tests.worker_program LEASE HEARTBEAT SWEEP GRACE``, all in seconds.
"""

import logging
import sys

from imagehub.config import load_settings
from imagehub.runtime.worker import Timing, run_worker

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s")
    sys.exit(
        run_worker(
            load_settings(env_file=None),
            Timing(*(float(value) for value in sys.argv[1:])),
            on_ready=lambda: print("ready", flush=True),
        )
    )
