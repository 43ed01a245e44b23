"""What a worker does besides importing: chores, each on a timer, in one thread for each kind.

- *watch* checks OneDrive periodically for originals that were changed, moved or deleted, and
  imports the new files of watched folders;
- *look* looks into originals that were imported before the hub did so, for private data and for
  what they say about their pictures;
- *finish* gives the renditions of all images the watermark and the credits of today;
- *plans* reads what the files of import plans say, before they are imported;
- *likeness* looks at the covers of works that were imported before the hub compared them;
- *tiles* makes the tiles of large originals, one picture at a time, and deletes unwanted ones;
- *prints* makes print files, one at a time, and deletes those whose time is over;
- *upkeep* deletes rows that have expired, uses sign-ins at Microsoft that were idle, so that they
  do not expire, sends enquiries on, and tells people what needs attention.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.database import OUTAGES, describe_outage
from imagehub.domain.enquiries import inbox
from imagehub.domain.imports import finishing, looks, plan_words, tiling, watched
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.library import likeness_index
from imagehub.domain.library.finish import find_finish
from imagehub.domain.library.tiles import make_policy
from imagehub.domain.onedrive import keep_alive, status
from imagehub.domain.prints import files as prints
from imagehub.domain.prints import making
from imagehub.domain.sharing import shortlists
from imagehub.domain.site import attention, forwarding, notices, numbers, reconcile
from imagehub.domain.site import settings as site_settings
from imagehub.domain.sync import check as drive_check
from imagehub.domain.sync import notifications, schedule
from imagehub.errors import ImageHubError
from imagehub.imaging.tiles import TileMaker, has_libvips
from imagehub.runtime.timing import Timing
from imagehub.wiring import build_channels

log = logging.getLogger(__name__)

# A person waits for a print file.
_PRINT_SECONDS = 3.0


@contextlib.contextmanager
def keep_going(what: str) -> Iterator[None]:
    """Log any error instead of ending the thread, for example while the database is down."""
    try:
        yield
    except OUTAGES as error:
        log.warning("Could not %s: %s", what, describe_outage(error))
    except Exception:
        log.exception("Could not %s", what)


class Chores:
    """The chores of one worker.

    :param owner: the worker's name, under which it leases what only one worker may do.
    :param stopping: set when the worker stops; every chore then ends soon.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        clients: Clients,
        scratch: Scratch,
        timing: Timing,
        owner: str,
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._clients = clients
        self._scratch = scratch
        self._timing = timing
        self._owner = owner
        self._stopping = stopping
        self._channels = build_channels(settings)

    def make_threads(self) -> list[threading.Thread]:
        """Make the threads, to be started and joined by the worker."""
        chores = {
            "watch": self._watch_on,
            "look": self._look_on,
            "plans": self._read_plans_on,
            "finish": self._finish_on,
            "likeness": self._compare_on,
            "tiles": self._tile_on,
            "prints": self._print_on,
            "upkeep": self._maintain_on,
        }
        return [
            threading.Thread(target=run, name=name, daemon=True) for name, run in chores.items()
        ]

    def _keeps_on(self) -> bool:
        return not self._stopping.is_set()

    def _watch_on(self) -> None:
        """Check drives that are due; in its own thread, since a check may take long."""
        base_url = notifications.find_base_url(self._settings)
        while self._keeps_on():
            with keep_going("keep subscriptions"), Session(self._engine) as session:
                notifications.keep_subscriptions(session, self._clients, base_url, self._keeps_on)
            with keep_going("check OneDrive"), Session(self._engine) as session:
                self._watch(session)
            with keep_going("import new files"), Session(self._engine) as session:
                self._take_new_files(session)
            self._stopping.wait(self._timing.sweep_seconds)

    def _watch(self, session: Session) -> None:
        due = schedule.list_due_accounts(session, self._settings.drive_check_minutes)
        session.rollback()
        for account_id in due:
            if not self._keeps_on():
                return
            report = drive_check.check_drive(session, self._clients, account_id, self._keeps_on)
            if report is not None and report.is_done:
                session.rollback()
                # The used space may have changed too; failing to read it does not matter.
                with contextlib.suppress(ImageHubError):
                    status.refresh_drive_facts(session, self._clients, account_id)
                log.info(
                    "Checked OneDrive account %d: %d changed items", account_id, report.item_count
                )

    def _take_new_files(self, session: Session) -> None:
        due = watched.list_due_accounts(session)
        session.rollback()
        for account_id in due:
            watched.take_new_files(
                session,
                self._clients,
                account_id,
                self._settings.max_original_bytes,
                self._keeps_on,
            )

    def _look_on(self) -> None:
        """Look into originals; those that OneDrive does not show now, again after a while."""
        while self._keeps_on():
            count = 0
            with keep_going("look into originals"), Session(self._engine) as session:
                count = looks.look_at_originals(
                    session,
                    self._clients,
                    self._owner,
                    self._keeps_on,
                    self._settings.max_original_bytes,
                )
            if count:
                log.info("Looked into %d originals", count)
            self._stopping.wait(self._timing.look_seconds)

    def _read_plans_on(self) -> None:
        """Look into the files of import plans for what they say about their pictures."""
        while self._keeps_on():
            with keep_going("look into plans"), Session(self._engine) as session:
                plan_words.read_plans(session, self._clients, self._owner, self._keeps_on)
            self._stopping.wait(self._timing.sweep_seconds)

    def _finish_on(self) -> None:
        """Change renditions after a change of the watermark or of credits."""
        while self._keeps_on():
            with keep_going("finish renditions"), Session(self._engine) as session:
                settings = site_settings.get_site(session, self._settings)
                finish = find_finish(session, self._clients, settings)
                count = finishing.finish_renditions(
                    session, self._clients, self._scratch, finish, self._owner, self._keeps_on
                )
                if count:
                    log.info("Changed the renditions of %d images", count)
            self._stopping.wait(self._timing.sweep_seconds)

    def _compare_on(self) -> None:
        while self._keeps_on():
            count = 0
            with keep_going("look at covers"), Session(self._engine) as session:
                count = likeness_index.look_at_covers(session, self._keeps_on)
            if count:
                log.info("Looked at the covers of %d works", count)
            self._stopping.wait(self._timing.look_seconds)

    def _tile_on(self) -> None:
        """Make tiles; in its own thread, which lives as long as the processes that it starts."""
        maker = None
        if has_libvips():
            maker = TileMaker(
                self._scratch.folder,
                self._settings.max_pixels * 1_000_000,
                self._settings.max_original_bytes,
            )
        while self._keeps_on():
            with keep_going("make tiles"), Session(self._engine) as session:
                policy = make_policy(site_settings.get_site(session, self._settings))
                session.rollback()
                job = tiling.TileJob(
                    policy,
                    self._scratch,
                    maker,
                    self._keeps_on,
                    self._settings.max_original_bytes,
                )
                tiling.work_on_tiles(session, self._clients, job)
            self._stopping.wait(self._timing.sweep_seconds)

    def _print_on(self) -> None:
        """Make print files; in its own thread, since a catalogue takes minutes."""
        while self._keeps_on():
            with keep_going("make print files"), Session(self._engine) as session:
                settings = site_settings.get_site(session, self._settings)
                session.rollback()
                job = making.PrintJob(settings, self._scratch, self._keeps_on)
                making.work_on_prints(session, self._clients, job)
                if prints.has_expired(session):
                    prints.delete_expired(session, self._clients)
            self._stopping.wait(min(self._timing.sweep_seconds, _PRINT_SECONDS))

    def _maintain_on(self) -> None:
        while self._keeps_on():
            with keep_going("delete expired rows"), Session(self._engine) as session:
                if reconcile.drop_expired_daily(session):
                    self._delete_old_enquiries(session)
                    numbers.delete_old_days(session)
            with keep_going("use idle sign-ins"), Session(self._engine) as session:
                count = keep_alive.use_idle_grants(session, self._clients)
                if count:
                    log.info("Renewed %d idle sign-ins at Microsoft", count)
            with keep_going("send enquiries on"), Session(self._engine) as session:
                self._forward(session)
            with keep_going("send messages"), Session(self._engine) as session:
                self.tell(session)
            self._stopping.wait(self._timing.upkeep_seconds)

    def tell(self, session: Session) -> None:
        """Tell people what needs attention, if a way to them is configured."""
        if not self._channels:
            notices.forget_recipients(session)
            return
        settings = site_settings.get_site(session, self._settings)
        facts = attention.collect_facts(session, self._clients, settings)
        session.rollback()
        found = attention.list_attention(facts)
        count = notices.tell(session, settings, self._channels, found)
        if count:
            log.info("Sent %d messages about what needs attention", count)

    def _forward(self, session: Session) -> None:
        """Send new enquiries on, if a way is configured; the inbox has them in any case."""
        settings = site_settings.get_site(session, self._settings)
        session.rollback()
        count = forwarding.forward_enquiries(session, settings, self._channels)
        if count:
            log.info("Sent %d enquiries on", count)

    def _delete_old_enquiries(self, session: Session) -> None:
        shortlists.delete_old_marks(session)
        months = site_settings.get_site(session, self._settings).enquiry_months
        session.rollback()
        if count := inbox.delete_expired(session, months):
            log.info("Deleted %d enquiries whose time was over", count)
