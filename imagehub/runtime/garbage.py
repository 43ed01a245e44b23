"""Collect garbage less often, and on Python 3.11 only where it is safe.

With its defaults Python's garbage collector takes a quarter of the processor time of a page. Before
3.12 a collection can start inside any allocation, also in the middle of a C function that creates a
weak reference; if a callback then lets another thread run, memory is corrupted. SQLAlchemy refers
weakly to every loaded row, so a web server with threads crashed after seconds of full load. Python
3.12 and newer only collect between two instructions; on 3.11 a thread does it here.
"""

import gc
import sys
import threading
import time

# New objects until the youngest are collected; how often until the next older ones are too.
YOUNG, MIDDLE, OLD = 20_000, 20, 50
_PAUSE_SECONDS = 0.05


def collect_at_rest() -> None:
    """Set up the garbage collector for this process, once everything is imported."""
    gc.collect()
    gc.freeze()
    if sys.version_info >= (3, 12):
        gc.set_threshold(YOUNG, MIDDLE, OLD)
        return
    gc.disable()
    threading.Thread(target=_collect_forever, name="garbage", daemon=True).start()


def _collect_forever() -> None:
    while True:
        time.sleep(_PAUSE_SECONDS)
        young, middle, old = gc.get_count()
        if young >= YOUNG:
            gc.collect(2 if old >= OLD else 1 if middle >= MIDDLE else 0)
