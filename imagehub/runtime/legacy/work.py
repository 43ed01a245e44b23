"""What all steps of a migration share: the stores, transactions, patience, and the report."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.domain.imports.scratch import Scratch
from imagehub.errors import ImageHubError, ServiceBusyError
from imagehub.runtime.legacy.report import Progress, Report
from imagehub.runtime.legacy.source import OldDatabase

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

# How often a step is tried while a service is busy.
_TRIES = 6
_LONGEST_WAIT_SECONDS = 60.0
SAVES = 3


class MigrationError(ImageHubError):
    """The migration cannot begin."""


@dataclass(frozen=True)
class Options:
    """``dry_run``: report without changing anything. ``upload_missing``: into OneDrive."""

    dry_run: bool = False
    upload_missing: bool = False


@dataclass(frozen=True)
class Work:
    """One run of the migration. The clients have a renderer; ``stopping``: it is to end."""

    engine: Engine
    settings: Settings
    clients: Clients
    old: OldDatabase
    scratch: Scratch
    options: Options
    progress: Progress
    report: Report
    stopping: threading.Event

    def fail(self, what: str, reason: str) -> None:
        self.report.note_failure(reason)
        self.progress.tell(f"FAILED {what}: {reason}" if what else f"FAILED: {reason}")

    def save(
        self,
        work: Callable[Concatenate[Session, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a function in its own transaction; try again after a lost race."""
        for turn in range(1, SAVES + 1):
            try:
                with Session(self.engine, expire_on_commit=False) as own, own.begin():
                    return work(own, *args, **kwargs)
            except (OperationalError, IntegrityError):
                if turn == SAVES:
                    raise
                time.sleep(0.1 * turn)
        raise AssertionError("unreachable")

    def read(
        self,
        work: Callable[Concatenate[Session, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a function in a transaction that is rolled back."""
        with Session(self.engine, expire_on_commit=False) as own:
            return work(own, *args, **kwargs)

    def patiently(self, act: Callable[..., Result], *values: Any) -> Result:
        """Call a service; while it is busy, wait and try again a few times."""
        for turn in range(1, _TRIES + 1):
            try:
                return act(*values)
            except ServiceBusyError as error:
                if turn == _TRIES:
                    raise
                seconds = min(max(1.0, error.retry_after_seconds), _LONGEST_WAIT_SECONDS)
                self.progress.show(f"Waiting for {error.service} …")
                if self.stopping.wait(seconds):
                    raise
        raise AssertionError("unreachable")
