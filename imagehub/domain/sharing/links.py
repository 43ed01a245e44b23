"""Share links: an unguessable address that shows selected groups or a series, drafts too.

The address holds 32 random bytes; the database keeps only their hash, so that a copy of it opens
nothing. A link that was revoked or has expired says so to whoever has its address, but nothing
about what it showed.
"""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, count_rows, end_read, get_database_time
from imagehub.domain.enquiries import inbox
from imagehub.domain.library.groups import name_group
from imagehub.domain.library.series import get_series, name_series
from imagehub.domain.people import passwords
from imagehub.domain.people.sessions import hash_secret
from imagehub.domain.people.throttle import count_attempt, forget_attempts, unless_busy
from imagehub.domain.vault import SigningKeys
from imagehub.errors import (
    BusyError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    ShareEndedError,
)
from imagehub.messages import Message, PluralMessage, mark
from imagehub.models import Group, Series, SeriesGroup, ShareItem, ShareLink

TOKEN_BYTES = 32
MAX_GROUPS = 200
MAX_PASSWORD_CHARS = 200
# Of a password that the hub makes: 80 bits.
_MADE_PASSWORD_GROUPS = 4
SHARES_PER_PAGE = 50
# Drafts are shown, but nothing from the trash, and no group without shots.
IS_SHOWN_BY_LINKS = (Group.state != "trash", Group.image_count > 0)
# Strangers who guess from many addresses slow each other down, but others only a little.
_LONGEST_COMMON_WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class ListedShare:
    """A link in the list of all.

    ``name`` is its name in the admin pages; ``state``: ``open``, ``over``, ``revoked`` or, if its
    series was deleted, ``gone``. ``group_count`` is 0 for a link to a series. ``list_count``: how
    many lists its visitors have sent.
    """

    share: ShareLink
    name: str
    group_count: int
    state: str
    list_count: int


# --- Creating and revoking ------------------------------------------------------------------------


def create_share(
    session: Session,
    user_id: int | None,
    group_numbers: Sequence[int],
    title: str = "",
    last_day: date | None = None,
    password: str = "",
    may_download: bool = False,
    *,
    takes_lists: bool = False,
    has_mark: bool = True,
    minutes_behind_utc: int = 0,
    series_id: int | None = None,
) -> tuple[ShareLink, str]:
    """Create a link to groups, or to a series and its parts.

    :param title: what visitors read above the works. "", or the title of a single work or of the
        series, stores none: the link then has the current name of what it shows.
    :param last_day: the last day on which it opens; None for a link that does not expire.
    :param password: "" for none; see also :func:`make_password`.
    :param takes_lists: visitors may send a list of works.
    :param has_mark: images have the watermark of the gallery, if there is one.
    :param minutes_behind_utc: time zone in which that day ends, less than a day from UTC.
    :param series_id: the series to show instead of groups.
    :return: the link, and the secret of its address, of which only a hash is stored.
    :raise InvalidInputError: no or too many groups, a past day, a password too short or too long.
    :raise NotFoundError: a group or the series does not exist.
    """
    series = get_series(session, series_id) if series_id is not None else None
    numbers = list(dict.fromkeys(group_numbers)) if series is None else []
    if not numbers and series is None:
        raise InvalidInputError(mark("First select the groups to share."), {"group": "is empty"})
    if len(numbers) > MAX_GROUPS:
        fault = Message("A link can show at most %(num)s groups.", num=MAX_GROUPS)
        raise InvalidInputError(fault, {"group": "too many"})
    if password:
        passwords.refuse_bad_length(password, MAX_PASSWORD_CHARS)
    now = get_database_time(session)
    expires_at = _get_end(last_day, minutes_behind_utc) if last_day is not None else None
    if expires_at is not None and expires_at <= now:
        past = mark("This date is in the past.")
        raise InvalidInputError(past, {"last_day": past})
    living = select(Group).where(Group.id.in_(numbers), Group.state != "trash")
    groups = {group.id: group for group in session.scalars(living)}
    for number in numbers:
        if number not in groups:
            raise NotFoundError("group", number)
    given = " ".join(title.split())[:300]
    if series is not None:
        is_default = given == series.title
    else:
        is_default = len(numbers) == 1 and given == groups[numbers[0]].title
    share = ShareLink(
        series_id=series_id,
        title="" if is_default else given,
        password_hash=passwords.make_hash(password) if password else "",
        may_download=may_download,
        takes_lists=takes_lists,
        has_mark=has_mark,
        user_id=user_id,
        created_at=now,
        expires_at=expires_at,
    )
    token = _renew(share)
    session.add(share)
    session.flush()
    session.add_all(
        ShareItem(share_id=share.id, group_id=number, position=position)
        for position, number in enumerate(numbers, start=1)
    )
    session.flush()
    return share, token


def make_password() -> str:
    """Make a password for a link that is hard to guess and easy to read and type."""
    return passwords.make_easy_secret(_MADE_PASSWORD_GROUPS)


def _get_end(day: date, minutes_behind_utc: int) -> datetime:
    zone = timezone(-timedelta(minutes=minutes_behind_utc))
    # In another time zone the first and the last day of the calendar would lie outside it.
    day = min(max(day, date(1, 1, 2)), date(9999, 12, 30))
    return datetime.combine(day, time(23, 59, 59), zone).astimezone(UTC)


def name_shares(session: Session, links: Sequence[ShareLink]) -> dict[int, str]:
    """Name links for the admin pages, by their numbers.

    The name is the title; without one, that of the series, or the first group and how many more
    there are. Groups in the trash count too, so that a link keeps its name.
    """
    untitled = [link.id for link in links if not link.title]
    wanted = [link.series_id for link in links if link.series_id and not link.title]
    found_series = session.scalars(select(Series).where(Series.id.in_(wanted)))
    series_names = {one.id: name_series(one) for one in found_series}
    found = session.execute(
        select(ShareItem.share_id, Group.id, Group.title)
        .join(Group, Group.id == ShareItem.group_id)
        .where(ShareItem.share_id.in_(untitled))
        .order_by(ShareItem.share_id, ShareItem.position, ShareItem.group_id)
    )
    works: dict[int, list[str]] = defaultdict(list)
    for share_id, group_id, title in found:
        works[share_id].append(name_group(group_id, title))
    names = {}
    for link in links:
        default = Message("Link %(number)s", number=link.id)
        first, *rest = works[link.id] or [series_names.get(link.series_id or 0, default)]
        names[link.id] = link.title or first
        if rest:
            names[link.id] = PluralMessage(
                "%(name)s and %(num)s more", "%(name)s and %(num)s more", num=len(rest), name=first
            )
    return names


def _renew(share: ShareLink) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    share.token_hash = hash_secret(token)
    return token


def get_share(session: Session, number: int) -> ShareLink:
    """:raise NotFoundError: no such link."""
    share = session.get(ShareLink, number) if 0 < number <= MAX_ID else None
    if share is None:
        raise NotFoundError("share link", number)
    return share


def renew_share(session: Session, number: int) -> tuple[ShareLink, str]:
    """Replace the address of a link.

    :raise InvalidInputError: it was revoked or has expired.
    """
    share = get_share(session, number)
    if find_state(session, share) != "open":
        raise InvalidInputError(mark("This link was revoked or has expired. Create a new one."))
    token = _renew(share)
    session.flush()
    return share, token


def revoke_share(session: Session, number: int) -> ShareLink:
    """Revoke a link."""
    share = get_share(session, number)
    if share.revoked_at is None:
        share.revoked_at = get_database_time(session)
        session.flush()
    return share


def reopen_share(session: Session, number: int) -> ShareLink:
    """Undo that a link was revoked; it opens again at its former address."""
    share = get_share(session, number)
    share.revoked_at = None
    session.flush()
    return share


def set_takes_lists(session: Session, number: int, takes_lists: bool) -> ShareLink:
    """Set whether visitors of a link may send lists; those that were received stay."""
    share = get_share(session, number)
    share.takes_lists = takes_lists
    session.flush()
    return share


def list_shares(
    session: Session,
    before: int | None = None,
    limit: int = SHARES_PER_PAGE,
    series_id: int | None = None,
) -> list[ListedShare]:
    """List links from new to old.

    :param before: number of the last link of the page before.
    :param series_id: list only the links to this series.
    """
    query = select(ShareLink).order_by(ShareLink.id.desc()).limit(limit)
    if series_id is not None:
        query = query.where(ShareLink.series_id == series_id)
    if before is not None:
        query = query.where(ShareLink.id < min(before, MAX_ID))
    shares = session.scalars(query).all()
    counted = (
        select(ShareItem.share_id, func.count())
        .join(Group, Group.id == ShareItem.group_id)
        .where(ShareItem.share_id.in_([one.id for one in shares]), Group.state != "trash")
        .group_by(ShareItem.share_id)
    )
    counts = dict(session.execute(counted).all())
    names, now = name_shares(session, shares), get_database_time(session)
    living = set(session.scalars(_select_living_series(shares)))
    lists = inbox.count_lists(session, [one.id for one in shares])
    return [
        ListedShare(
            one,
            names[one.id],
            counts.get(one.id, 0),
            _get_state(one, now, living),
            lists.get(one.id, 0),
        )
        for one in shares
    ]


def find_state(session: Session, share: ShareLink) -> str:
    """Return the state of a link, as of ``ListedShare``."""
    living = set(session.scalars(_select_living_series([share]))) if share.series_id else set()
    return _get_state(share, get_database_time(session), living)


def _get_state(share: ShareLink, now: datetime, living_series: Collection[int]) -> str:
    if share.revoked_at is not None:
        return "revoked"
    if share.expires_at is not None and share.expires_at <= now:
        return "over"
    if share.series_id is not None and share.series_id not in living_series:
        return "gone"
    return "open"


def _select_living_series(shares: Sequence[ShareLink]) -> Select[int]:
    return select(Series.id).where(
        Series.id.in_([one.series_id for one in shares]), Series.state != "trash"
    )


# --- Opening --------------------------------------------------------------------------------------


def get_open_share(session: Session, token: str) -> ShareLink:
    """Find the open link of an address.

    :raise ShareEndedError: it was revoked or has expired, or its series was deleted.
    :raise NotFoundError: there is none; a link that was replaced is gone, too.
    """
    this = ShareLink.token_hash == hash_secret(token[:200])
    share = session.scalars(select(ShareLink).where(this)).one_or_none()
    if share is None:
        raise NotFoundError("share link", "")
    if find_state(session, share) != "open":
        raise ShareEndedError()
    return share


def check_password(
    session: Session, keys: SigningKeys, share: ShareLink, password: str, address: str
) -> None:
    """Check the password of a link, with throttling.

    A hash with other parameters than new ones is replaced. The caller must hold no uncommitted
    change, and commits afterwards.

    :param address: IP address of the visitor, whose attempts are counted.
    :raise NotAllowedError: wrong.
    :raise TooManyTriesError: nothing was checked; ``retry_after_seconds`` says when it will be.
    """
    number, stored = share.id, share.password_hash
    everyone, visitor = str(number), f"{number} {address}"
    end_read(session)
    attempts = [
        count_attempt(session, keys, "share", visitor),
        count_attempt(session, keys, "share", everyone, _LONGEST_COMMON_WAIT_SECONDS),
    ]
    with unless_busy(session, attempts):
        is_right = passwords.is_right(stored, password)
    if not is_right:
        raise NotAllowedError(mark("The password is wrong."))
    forget_attempts(session, keys, "share", visitor)
    forget_attempts(session, keys, "share", everyone)
    if passwords.is_outdated(stored):
        with suppress(BusyError):
            same = (ShareLink.id == number, ShareLink.password_hash == stored)
            fresh = passwords.make_hash(password)
            count_rows(session, update(ShareLink).where(*same).values(password_hash=fresh))


def make_password_mark(share: ShareLink) -> str:
    """Make what a session keeps after the right password; void after a change of password.

    Replacing an outdated hash counts as one: other visitors enter the password once more.
    """
    return hashlib.sha256(f"{share.token_hash} {share.password_hash}".encode()).hexdigest()[:32]


def list_shared_groups(session: Session, share: ShareLink) -> Sequence[Group]:
    """List the groups of a link in its order, without those in the trash or without shots.

    A link to a series has none of its own: see ``domain.sharing.series_links``.
    """
    return session.scalars(
        _select_items(share).order_by(ShareItem.position, ShareItem.group_id)
    ).all()


def _select_items(share: ShareLink) -> Select[Group]:
    return (
        select(Group)
        .join(ShareItem, ShareItem.group_id == Group.id)
        .where(ShareItem.share_id == share.id, *IS_SHOWN_BY_LINKS)
    )


def get_shared_group(session: Session, share: ShareLink, number: int) -> Group:
    """Find a group that a link shows, by itself or in its series.

    :raise NotFoundError: the link does not show it.
    """
    found = find_shared_groups(session, share, [number]) if number <= MAX_ID else ()
    if not found:
        raise NotFoundError("work", number)
    return found[0]


def find_shared_groups(
    session: Session, share: ShareLink, numbers: Sequence[int]
) -> Sequence[Group]:
    """Return those of these groups that a link shows, in its order."""
    if share.series_id is None:
        these = _select_items(share).where(Group.id.in_(numbers))
        return session.scalars(these.order_by(ShareItem.position, ShareItem.group_id)).all()
    members = select_shared_series(share).with_only_columns(Series.id)
    rows = session.execute(
        select(Group, Series.parent_id)
        .join(SeriesGroup, SeriesGroup.group_id == Group.id)
        .join(Series, Series.id == SeriesGroup.series_id)
        .where(SeriesGroup.group_id.in_(numbers), Series.id.in_(members), *IS_SHOWN_BY_LINKS)
        .order_by(
            Series.parent_id.is_not(None),
            Series.position,
            Series.id,
            SeriesGroup.position,
            Group.id,
        )
    )
    # A group may be in the series and in its parts.
    return list({group.id: group for group, _ in rows}.values())


def select_shared_series(share: ShareLink) -> Select[Series]:
    """Select the series of a link and its parts, drafts too."""
    return select(Series).where(
        or_(Series.id == share.series_id, Series.parent_id == share.series_id),
        Series.state != "trash",
    )


def count_view(session: Session, share: ShareLink) -> None:
    """Count a view of a link; concurrent views are all counted."""
    this, now = update(ShareLink).where(ShareLink.id == share.id), get_database_time(session)
    count_rows(session, this.values(view_count=ShareLink.view_count + 1, last_viewed_at=now))
