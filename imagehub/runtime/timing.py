"""How often a worker does what."""

from dataclasses import dataclass

from imagehub.domain.imports.claims import LEASE_SECONDS


@dataclass(frozen=True)
class Timing:
    """Intervals of a worker, in seconds.

    A lease must outlive several heartbeats. Items of a dead worker are resumed after at most
    ``lease_seconds + sweep_seconds``, which is under a minute.
    """

    lease_seconds: float = LEASE_SECONDS
    heartbeat_seconds: float = 10.0
    sweep_seconds: float = 10.0
    look_seconds: float = 60.0
    upkeep_seconds: float = 60.0
    # Time for threads to finish their items when the worker stops, before items are requeued.
    grace_seconds: float = 5.0
