"""Say what needs attention, for Home and for the messages that are sent about it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.domain.enquiries import inbox
from imagehub.domain.file_names import replace_turns
from imagehub.domain.imports import watched
from imagehub.domain.imports.reports import (
    FailedJob,
    is_stalled,
    list_failed_jobs,
    list_running_jobs,
)
from imagehub.domain.library import private_data
from imagehub.domain.onedrive import accounts, status
from imagehub.domain.onedrive.status import ConnectionInfo
from imagehub.domain.site import settings as site_settings
from imagehub.domain.site.counts import MAX_COUNTED, Counts, count_to_do
from imagehub.domain.site.endings import (
    CONNECTION_PATH,
    Ending,
    is_secret_end_unknown,
    list_endings,
)
from imagehub.domain.sync import notifications, schedule
from imagehub.errors import NEEDS_ADMINISTRATOR, WRONG_CLIENT_SECRET, WRONG_REGISTRATION
from imagehub.messages import Message, PluralMessage, Stored, mark
from imagehub.models import EnquiryRecipient, Image, Notice

# A failed check of OneDrive is mostly repeated with success.
_LEAST_FAILED_CHECKS = 3
# A server that is restarted refuses messages for a few minutes.
_LEAST_FAILED_MESSAGES = 3


@dataclass(frozen=True)
class Attention:
    """Something that a person should do.

    ``kind`` is a key of ``KINDS``. ``path``: the page that mends it, from the hub's address on.
    ``level`` grows when it gets worse: a count, or how soon something expires. ``number``: the
    import that it is about.
    """

    kind: str
    title: str
    words: str
    path: str
    is_fault: bool = False
    level: int = 1
    number: int = 0


# Kind → what people call it.
KINDS: Mapping[str, str] = {
    "connection": mark("Connection to OneDrive"),
    "sign-in-refused": mark("Renewal of the sign-in at Microsoft"),
    "previous-account": mark("Previous OneDrive accounts"),
    "secret": mark("Client secret"),
    "secret-unknown": mark("Expiry date of the client secret"),
    "sign-in": mark("Sign-in at Microsoft"),
    "downloads": mark("Downloads of full-size images"),
    "stalled": mark("Worker"),
    "failed": mark("Failed imports"),
    "check": mark("Checks of OneDrive"),
    "notifications": mark("Notifications by OneDrive"),
    "new-drafts": mark("New drafts from watched folders"),
    "missing": mark("Missing originals"),
    "offered": mark("New files in place of missing originals"),
    "outside": mark("Originals outside the root folder"),
    "absent": mark("Images without an original"),
    "changed": mark("Changed originals"),
    "alt": mark("Images without alt text"),
    "still": mark("Videos shown as stills"),
    "delivery": mark("Messages"),
    "enquiries": mark("Enquiries"),
}


@dataclass(frozen=True)
class Topic:
    """Kinds that are told or not told together; ``label`` is for the settings page."""

    label: str
    kinds: tuple[str, ...]


# Words of IMAGEHUB_NOTIFY_ABOUT → the topic.
TOPICS: Mapping[str, Topic] = {
    "connection": Topic(
        mark("OneDrive cannot be used, or messages cannot be sent"),
        ("connection", "sign-in-refused", "previous-account", "check", "notifications", "delivery"),
    ),
    "expiry": Topic(mark("Something expires soon"), ("secret", "sign-in")),
    "imports": Topic(mark("Imports fail or are not progressing"), ("stalled", "failed")),
    "originals": Topic(
        mark("Originals are missing or outside the root folder"), ("missing", "offered", "outside")
    ),
    "changes": Topic(mark("Originals have changed in OneDrive"), ("changed",)),
    "texts": Topic(
        mark("Something should be completed, such as alt texts"),
        ("new-drafts", "alt", "still", "absent", "downloads", "secret-unknown"),
    ),
}


@dataclass(frozen=True)
class Facts:
    """What is known of the hub.

    ``is_new``: it has no images and imports none. ``failed_recipients``: (recipient, problem) of
    those to whom no message could be sent.
    """

    connection: ConnectionInfo
    earlier: Sequence[ConnectionInfo] = ()
    has_client_id: bool = True
    is_new: bool = False
    endings: Sequence[Ending] = ()
    is_secret_end_unknown: bool = False
    must_choose_downloads: bool = False
    is_downloads_given: bool = False
    private_counts: private_data.Counts = field(default_factory=private_data.Counts)
    is_stalled: bool = False
    failed_jobs: Sequence[FailedJob] = ()
    check_problem: str = ""
    notification_problem: str = ""
    new_draft_count: int = 0
    new_enquiry_count: int = 0
    failed_recipients: Sequence[tuple[str, str]] = ()
    counts: Counts = field(default_factory=Counts)


def collect_facts(session: Session, clients: Clients, settings: Settings) -> Facts:
    """Collect the facts from the database; asks neither OneDrive nor S3.

    :param settings: with the names of those that the environment sets.
    """
    info = status.describe_connection(session, clients)
    has_images = session.scalar(select(Image.id).limit(1)) is not None
    must_choose = site_settings.must_choose_downloads(session)
    check_problem = notification_problem = ""
    account = accounts.find_active_account(session)
    if account is not None and account.state == accounts.CONNECTED:
        watch = schedule.describe_watch(session, account.id)
        check_problem = watch.problem if watch.failure_count >= _LEAST_FAILED_CHECKS else ""
        notified = notifications.describe_notifications(session, settings, account.id)
        notification_problem = notified.problem if notified.state == "failed" else ""
    return Facts(
        connection=info,
        earlier=status.describe_earlier(session, clients),
        has_client_id=bool(settings.ms_client_id),
        is_new=not has_images and not list_running_jobs(session),
        endings=list_endings(session, clients, settings),
        is_secret_end_unknown=is_secret_end_unknown(session, settings),
        must_choose_downloads=must_choose,
        is_downloads_given="downloads" in settings.given,
        private_counts=private_data.count_found(session, most=MAX_COUNTED + 1)
        if must_choose
        else private_data.Counts(),
        is_stalled=is_stalled(session),
        failed_jobs=list_failed_jobs(session),
        check_problem=check_problem,
        notification_problem=notification_problem,
        new_draft_count=watched.count_new_drafts(session, MAX_COUNTED + 1),
        new_enquiry_count=inbox.count_state(session, "new"),
        failed_recipients=_list_failed_recipients(session),
        counts=count_to_do(session),
    )


def _list_failed_recipients(session: Session) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for model in (EnquiryRecipient, Notice):
        query = (
            select(model.recipient, func.max(model.problem))
            .where(model.failure_count >= _LEAST_FAILED_MESSAGES)
            .group_by(model.recipient)
        )
        found |= {recipient: problem for recipient, problem in session.execute(query)}
    return sorted(found.items())


def list_attention(facts: Facts) -> list[Attention]:
    """List what needs attention, the most urgent first."""
    return [
        *_list_connection(facts),
        *_list_endings(facts),
        *_list_downloads(facts),
        *_list_imports(facts),
        *_list_enquiries(facts.new_enquiry_count),
        *_list_drafts(facts.new_draft_count),
        *_list_messages(facts),
        *_list_originals(facts.counts),
    ]


_HEADS = {
    WRONG_CLIENT_SECRET: mark("Microsoft refuses the client secret"),
    WRONG_REGISTRATION: mark("Microsoft refuses the app registration"),
    NEEDS_ADMINISTRATOR: mark("The organisation refuses access"),
}


def _list_connection(facts: Facts) -> Iterator[Attention]:
    info = facts.connection
    is_lost = info.is_refused or info.state == accounts.NEEDS_RECONNECT
    if is_lost or not (info.is_usable or facts.is_new):
        head = _HEADS.get(info.state, mark("OneDrive is not connected"))
        if info.state == WRONG_CLIENT_SECRET and not facts.has_client_id:
            head = mark("The client ID is missing")
        words = Message(
            "%(reason)s The gallery still shows its images, but full-size images and imports are "
            "not available for now.",
            reason=Stored(info.reason),
        )
        yield Attention("connection", head, words, CONNECTION_PATH, is_fault=True)
    elif info.is_usable and info.is_waiting:
        words = Message(
            "It first refused %(when)s. This usually passes, and ImageHub tries again by itself. "
            "Full-size images and imports may not be available until then.",
            when=info.refused_at,
        )
        head = mark("Microsoft’s sign-in does not renew the connection")
        yield Attention("sign-in-refused", head, words, CONNECTION_PATH)
    for one in facts.earlier:
        if one.state == accounts.NEEDS_RECONNECT:
            words = Message(
                "%(account)s: %(reason)s The gallery still shows its images, but they cannot be "
                "opened in full size for now.",
                account=one.username or Stored(mark("Account")),
                reason=Stored(one.reason),
            )
            head = mark("A previous account must be reconnected")
            path = f"{CONNECTION_PATH}#earlier"
            yield Attention("previous-account", head, words, path, is_fault=True)


def _list_endings(facts: Facts) -> Iterator[Attention]:
    for one in facts.endings:
        if one.level:
            is_fault = one.level > 1
            yield Attention(one.kind, one.title, one.words, one.path, is_fault, one.level)
    if facts.is_secret_end_unknown:
        words = mark(
            "ImageHub warns you before it expires if you enter the date, which Microsoft shows "
            "beside the secret. Without a valid secret OneDrive cannot be reached."
        )
        head = mark("Enter when the client secret expires")
        yield Attention("secret-unknown", head, words, CONNECTION_PATH)


def _list_downloads(facts: Facts) -> Iterator[Attention]:
    if not facts.must_choose_downloads:
        return
    words: str = mark(
        "Photos may say where they were taken, who is in them, and the camera's serial number. "
        "Until you select an option, visitors get them as they are."
    )
    found = facts.private_counts
    if found.any:
        if found.any > MAX_COUNTED:
            some = Message(
                "Found so far: more than %(count)s images with such data.", count=MAX_COUNTED
            )
        else:
            some = PluralMessage(
                "Found so far: %(num)s image with such data, %(places)s of them with a location.",
                "Found so far: %(num)s images with such data, %(places)s of them with a location.",
                num=found.any,
                places=found.place,
            )
        words = _join(words, some)
    if facts.is_downloads_given:
        given = Message(
            "Set by %(name)s on the server and can only be changed there.",
            name="IMAGEHUB_DOWNLOADS",
        )
        words = _join(words, given)
    head = mark("Select how visitors get full-size images")
    yield Attention("downloads", head, words, "/admin/settings")


def _list_imports(facts: Facts) -> Iterator[Attention]:
    if facts.is_stalled:
        words = mark(
            "Files are waiting, but no worker is processing them. Check that the program “imagehub "
            "worker” is running."
        )
        head = mark("Imports are not progressing")
        yield Attention("stalled", head, words, "/admin/import", is_fault=True)
    for job in facts.failed_jobs:
        count = job.failed_count
        head = PluralMessage(
            "%(num)s file could not be imported", "%(num)s files could not be imported", num=count
        )
        file_name = replace_turns(job.file_name)
        words = Message("%(name)s: %(words)s", name=file_name, words=Stored(job.reason))
        if count > 1:
            more = PluralMessage("And %(num)s more.", "And %(num)s more.", num=count - 1)
            words = _join(words, more)
        path = f"/admin/import/{job.id}"
        yield Attention("failed", head, words, path, level=count, number=job.id)
    if facts.check_problem:
        head = mark("OneDrive cannot be checked for changes")
        yield Attention("check", head, Stored(facts.check_problem), CONNECTION_PATH)
    if facts.notification_problem:
        head = mark("Notifications are off")
        again = Stored(mark("ImageHub tries again by itself."))
        words = Message(
            "%(first)s %(second)s", first=Stored(facts.notification_problem), second=again
        )
        yield Attention("notifications", head, words, CONNECTION_PATH)


def _list_enquiries(count: int) -> Iterator[Attention]:
    """Each enquiry is sent on when it arrives, so this is for Home only."""
    if count:
        head = _pick(
            PluralMessage("%(num)s new enquiry", "%(num)s new enquiries", num=count),
            Message("More than %(count)s new enquiries", count=inbox.MAX_COUNTED),
            inbox.MAX_COUNTED,
        )
        words = mark("Someone is waiting for an answer.")
        yield Attention("enquiries", head, words, "/admin/enquiries", level=count)


def _list_drafts(count: int) -> Iterator[Attention]:
    if count:
        head = _pick(
            PluralMessage(
                "%(num)s new draft came from a watched folder",
                "%(num)s new drafts came from watched folders",
                num=count,
            ),
            Message("More than %(count)s new drafts came from watched folders", count=MAX_COUNTED),
        )
        words = mark("Visitors see them once you publish them.")
        yield _about_images("new-drafts", count, head, words, "draft")


def _list_messages(facts: Facts) -> Iterator[Attention]:
    for recipient, problem in facts.failed_recipients:
        words = Message("%(name)s: %(words)s", name=recipient, words=Stored(problem))
        head = mark("Messages cannot be sent")
        yield Attention("delivery", head, words, "/admin/settings#messages", is_fault=True)


def _list_originals(counts: Counts) -> Iterator[Attention]:
    for one in (_missing, _offered, _outside, _absent, _changed, _still, _without_alt):
        found = one(counts)
        if found.level:
            yield found


def _missing(counts: Counts) -> Attention:
    head = _pick(
        PluralMessage(
            "%(num)s original is missing in OneDrive",
            "%(num)s originals are missing in OneDrive",
            num=counts.missing,
        ),
        Message("More than %(count)s originals are missing in OneDrive", count=MAX_COUNTED),
    )
    words = mark("The gallery still shows these images, but they cannot be opened in full size.")
    return _about_images("missing", counts.missing, head, words)


def _offered(counts: Counts) -> Attention:
    head = _pick(
        PluralMessage(
            "%(num)s missing original has a new file in its place",
            "%(num)s missing originals have new files in their places",
            num=counts.offered,
        ),
        Message(
            "More than %(count)s missing originals have new files in their places",
            count=MAX_COUNTED,
        ),
    )
    words = mark(
        "The same folder has a file with the same name but different content. Perhaps it was saved "
        "again."
    )
    return _about_images("offered", counts.offered, head, words, "missing")


def _outside(counts: Counts) -> Attention:
    head = _pick(
        PluralMessage(
            "%(num)s original is outside the root folder",
            "%(num)s originals are outside the root folder",
            num=counts.outside,
        ),
        Message("More than %(count)s originals are outside the root folder", count=MAX_COUNTED),
    )
    words = mark(
        "They are still in OneDrive, but ImageHub cannot see them, so these images cannot be "
        "opened in full size. Move the files back to the root folder, or select another root "
        "folder."
    )
    return _about_images("outside", counts.outside, head, words)


def _absent(counts: Counts) -> Attention:
    head = _pick(
        PluralMessage(
            "%(num)s image has no original in OneDrive",
            "%(num)s images have no original in OneDrive",
            num=counts.absent,
        ),
        Message("More than %(count)s images have no original in OneDrive", count=MAX_COUNTED),
    )
    words = mark(
        "They came from the first version. The gallery shows them, but they cannot be opened in "
        "full size until their files are in OneDrive."
    )
    return _about_images("absent", counts.absent, head, words)


def _changed(counts: Counts) -> Attention:
    head = _pick(
        PluralMessage(
            "%(num)s original has changed in OneDrive",
            "%(num)s originals have changed in OneDrive",
            num=counts.changed,
        ),
        Message("More than %(count)s originals have changed in OneDrive", count=MAX_COUNTED),
    )
    words = mark("The gallery shows the earlier versions.")
    return _about_images("changed", counts.changed, head, words)


def _still(counts: Counts) -> Attention:
    head = _pick(
        PluralMessage(
            "%(num)s video is shown as a still",
            "%(num)s videos are shown as stills",
            num=counts.stills,
        ),
        Message("More than %(count)s videos are shown as stills", count=MAX_COUNTED),
    )
    words = mark("Imported before ImageHub could play videos.")
    return _about_images("still", counts.stills, head, words)


def _without_alt(counts: Counts) -> Attention:
    head = _pick(
        PluralMessage(
            "%(num)s image has no alt text",
            "%(num)s images have no alt text",
            num=counts.without_alt,
        ),
        Message("More than %(count)s images have no alt text", count=MAX_COUNTED),
    )
    words = mark("Screen readers have nothing to read out for these.")
    return _about_images("alt", counts.without_alt, head, words)


def _pick(counted: PluralMessage, many: Message, most: int = MAX_COUNTED) -> Message:
    return counted if counted.values["num"] <= most else many


def _about_images(kind: str, count: int, head: str, words: str, listed: str = "") -> Attention:
    """:param listed: the filter of the library that lists these images, if not the kind."""
    return Attention(kind, head, words, f"/admin/library?filter={listed or kind}", level=count)


def _join(first: str, second: Message) -> Message:
    """Join two texts that are translated on their own."""
    head = first if isinstance(first, Message) else Stored(first)
    return Message("%(first)s %(second)s", first=head, second=second)
