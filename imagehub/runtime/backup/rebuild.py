"""Rebuild renditions from a command: hand images to the workers, show the progress, report."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import click
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.domain.leases import acquire_lease, make_owner, release_lease
from imagehub.domain.site import matching, rebuild, rebuild_pictures
from imagehub.domain.site.rebuild import Outcome, Progress
from imagehub.errors import ImageHubError
from imagehub.imaging.once import open_renderer
from imagehub.queue import check_queue, count_worker_threads
from imagehub.runtime.folder_import import NO_PROGRESS_SECONDS

Say = Callable[[str], None]

_LEASE, _LEASE_SECONDS = "rebuild", 120.0
_MOST_LINES = 200


class RebuildError(ImageHubError):
    """The rebuild cannot begin."""


@dataclass
class RebuiltPictures:
    """How many logos and pictures of watermarks were made again, and how many could not be."""

    done: int = 0
    failed: int = 0


@dataclass
class Rebuilt:
    """The result. ``is_stopped``: a person stopped it; run again, it goes on."""

    progress: Progress
    outcome: Outcome = field(default_factory=Outcome)
    is_stopped: bool = False
    pictures: RebuiltPictures = field(default_factory=RebuiltPictures)

    @property
    def lacks_something(self) -> bool:
        return bool(self.outcome.failed or self.progress.without or self.pictures.failed)

    def describe(self) -> str:
        """List the counts, one line for each kind."""
        rows = [
            (self.outcome.done, "images made again"),
            (self.outcome.failed, "failed"),
            (self.progress.without, "without an original in a connected OneDrive"),
            (self.progress.complete, "complete already"),
            (self.pictures.done, "logos and pictures of watermarks made again"),
            (self.pictures.failed, "logos and pictures of watermarks failed"),
        ]
        first, *others = rows
        shown = [first, *(row for row in others if row[0])]
        return "\n".join(f"{count:>12,}  {words}" for count, words in shown)


def rebuild_renditions(
    session: Session,
    settings: Settings,
    clients: Clients,
    group: int | None,
    missing_only: bool,
    say: Say,
    pause: Callable[[], object] = lambda: time.sleep(0.25),
) -> Rebuilt:
    """Make renditions again; see :mod:`imagehub.domain.site.rebuild`.

    :param session: holds no uncommitted change. Its commits wake the workers.
    :param pause: called between two looks at the workers' progress.
    :raise RebuildError: another one is running.
    """
    owner = make_owner()
    if not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
        raise RebuildError("Another `imagehub rebuild` is running.")
    progress = rebuild.find_progress(session, group, missing_only)
    if progress is not None:
        say(f"Going on after {progress.seen:,} images.")
    progress = progress or rebuild.begin(session, group, missing_only)
    pictures = RebuiltPictures()
    if group is None:
        pictures = _rebuild_pictures(session, settings, clients, missing_only, say)
    run = _Run(session, settings, clients, progress, say)
    total = rebuild.count_images(session, group)
    is_terminal = sys.stdout.isatty()
    try:
        with click.progressbar(
            length=total, label="Rebuilding", show_pos=True, hidden=not is_terminal
        ) as bar:
            while run.step():
                bar.update(run.count_finished() - bar.pos)
                acquire_lease(session, _LEASE, owner, _LEASE_SECONDS)
                pause()
            bar.update(run.count_finished() - bar.pos)
    except KeyboardInterrupt:
        session.rollback()
        return Rebuilt(run.progress, run.outcome, is_stopped=True, pictures=pictures)
    finally:
        release_lease(session, _LEASE, owner)
    rebuild.forget_progress(session)
    session.commit()
    return Rebuilt(run.progress, run.outcome, pictures=pictures)


def _rebuild_pictures(
    session: Session, settings: Settings, clients: Clients, missing_only: bool, say: Say
) -> RebuiltPictures:
    """Make logos and the picture of the watermark again; commits each.

    They come first, because renditions with a watermark need its picture.
    """
    made = RebuiltPictures()
    pictures = rebuild_pictures.list_pictures(session)
    if missing_only:
        complete = rebuild_pictures.is_complete
        pictures = [one for one in pictures if not complete(session, clients, one)]
    if not pictures:
        return made
    with open_renderer() as renderer:
        for picture in pictures:
            try:
                rebuild_pictures.remake_picture(session, clients, renderer, settings, picture)
                session.commit()
                made.done += 1
            except (ImageHubError, OSError) as error:
                session.rollback()
                say(f"  {picture.words}: {error}")
                made.failed += 1
    return made


class _Run:
    def __init__(
        self,
        session: Session,
        settings: Settings,
        clients: Clients,
        progress: Progress,
        say: Say,
    ) -> None:
        self.progress = progress
        self.outcome = Outcome()
        self._session = session
        self._settings = settings
        self._clients = clients
        self._say = say
        self._most = self._window = 2 * count_worker_threads(settings)
        self._is_giving_way = self._is_handed_over = False
        self._known: set[int] = set()
        self._finished, self._ask_at = -1, time.monotonic() + NO_PROGRESS_SECONDS

    def count_finished(self) -> int:
        done = self.outcome.done + self.outcome.failed
        return done + self.progress.without + self.progress.complete

    def step(self) -> bool:
        """Hand over what may be, and report failures; return False at the end."""
        jobs = list(self.progress.jobs.values())
        self.outcome = rebuild.read_outcome(self._session, jobs)
        self._report(jobs)
        self._explain_delay()
        if not self._is_handed_over:
            free = self.outcome.count_free(self._choose_window())
            if free:
                self._hand_over(free)
            return True
        return self.outcome.is_open

    def _choose_window(self) -> int:
        """Return how many images may be in work: fewer each time that OneDrive is too busy."""
        if rebuild.must_give_way(self._session):
            if not self._is_giving_way:
                self._window = max(1, self._window // 2)
            self._is_giving_way = True
            return 0
        if self._is_giving_way:
            self._is_giving_way = False
        elif self._window < self._most:
            self._window += 1
        return self._window

    def _hand_over(self, count: int) -> None:
        """Hand over ``count`` images; those that need no work do not count, for a second."""
        until = time.monotonic() + 1.0
        wanted = self.progress.asked + count
        while self.progress.asked < wanted and time.monotonic() < until:
            left = wanted - self.progress.asked
            progress = rebuild.hand_over(
                self._session, self._clients, self.progress, left, self._report_without
            )
            if progress is None:
                self._is_handed_over = True
                return
            self._session.commit()
            self.progress = progress

    def _report_without(self, name: str) -> None:
        self._say(f"  {name}: its original is not in a connected OneDrive.")

    def _report(self, jobs: list[int]) -> None:
        if len(self._known) >= _MOST_LINES:
            return
        for name, reason in rebuild.list_failures(self._session, jobs, self._known):
            self._say(f"  {name}: {reason}")
        if len(self._known) >= _MOST_LINES:
            self._say("  The page Imports lists the other failures.")

    def _explain_delay(self) -> None:
        """Say what is wrong with the queue if nothing has been finished for a while."""
        finished = self.count_finished()
        if finished != self._finished:
            self._finished, self._ask_at = finished, time.monotonic() + NO_PROGRESS_SECONDS
        if time.monotonic() < self._ask_at:
            return
        self._ask_at = time.monotonic() + 4 * NO_PROGRESS_SECONDS
        queue = check_queue(self._settings, self._session)
        self._session.rollback()
        if not queue.is_ok:
            self._say(f"{queue.sentence} {queue.advice}".strip())
        elif self.outcome.retried_later:
            self._say(f"{self.outcome.retried_later:,} images wait for another attempt.")


def match_originals(session: Session, clients: Clients, account_id: int) -> int:
    """Link images of accounts that are not connected to files of this one; see ``matching``.

    Commits some hundred files at a time.

    :return: how many images were linked.
    :raise ServiceError, ConnectionLostError: a folder cannot be listed; what was linked stays.
    """
    count = 0
    for batch in matching.iter_files(clients.open_drive(account_id)):
        count += matching.link_files(session, account_id, batch)
        session.commit()
    return count
