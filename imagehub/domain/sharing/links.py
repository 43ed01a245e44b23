"""Links to share: an unguessable address that shows chosen groups, drafts too.

The address holds 32 random bytes; the database keeps their hash alone, so that whoever reads it, or
a backup of it, opens nothing. A link that is over, revoked or never was reads the same.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from imagehub.database import MAX_ID, count_rows, end_read, get_database_time
from imagehub.domain.library.groups import name_group
from imagehub.domain.people.throttle import count_attempt, forget_attempts
from imagehub.errors import InvalidInputError, NotAllowedError, NotFoundError
from imagehub.messages import mark
from imagehub.models import Group, ShareItem, ShareLink

TOKEN_BYTES = 32
MAX_GROUPS = 200
MAX_PASSWORD_CHARS = 200
SHARES_PER_PAGE = 50
# Strangers who guess from many addresses slow each other down, but never for long those who know.
_LONGEST_COMMON_WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class ListedShare:
    """A link in the list of all.

    ``name`` is what the admin's side calls it; ``state``: ``open``, ``over`` or ``revoked``.
    """

    share: ShareLink
    name: str
    group_count: int
    state: str


# --- Making and ending ----------------------------------------------------------------------------


def create_share(
    session: Session,
    user_id: int | None,
    group_numbers: Sequence[int],
    title: str = "",
    last_day: date | None = None,
    password: str = "",
    may_download: bool = False,
    *,
    minutes_behind_utc: int = 0,
) -> tuple[ShareLink, str]:
    """Make a link.

    :param title: what visitors read above the works. "", or the title of a single work, keeps none:
        the link then bears the name of what it shows, as that is at the time.
    :param last_day: the last day on which it opens; None never ends it.
    :param password: "" asks for none.
    :param minutes_behind_utc: the clock by which that day ends, less than a day from UTC.
    :return: the link, and the secret of its address, which nobody can find out later.
    :raise InvalidInputError: no or too many groups, a day that is over, a password too long.
    :raise NotFoundError: a group is not there.
    """
    numbers = list(dict.fromkeys(group_numbers))
    if not numbers:
        raise InvalidInputError("Choose the groups to share first.", {"group": "is empty"})
    if len(numbers) > MAX_GROUPS:
        raise InvalidInputError(f"A link shows at most {MAX_GROUPS} groups.", {"group": "too many"})
    if len(password) > MAX_PASSWORD_CHARS:
        fault = f"A password has at most {MAX_PASSWORD_CHARS} characters."
        raise InvalidInputError(fault, {"password": fault})
    now = get_database_time(session)
    expires_at = None
    if last_day is not None:
        expires_at = _get_end(last_day, minutes_behind_utc)
        if expires_at <= now:
            fault = "This day is over already."
            raise InvalidInputError(fault, {"last_day": fault})
    groups = {group.id: group for group in list_groups(session, numbers)}
    for number in numbers:
        if number not in groups:
            raise NotFoundError("group", number)
    given = " ".join(title.split())[:300]
    is_default = len(numbers) == 1 and given == groups[numbers[0]].title
    share = ShareLink(
        title="" if is_default else given,
        password_hash=generate_password_hash(password) if password else "",
        may_download=may_download,
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


def _get_end(day: date, minutes_behind_utc: int) -> datetime:
    zone = timezone(-timedelta(minutes=minutes_behind_utc))
    # At either end of the calendar another clock would be beyond it.
    day = min(max(day, date(1, 1, 2)), date(9999, 12, 30))
    return datetime.combine(day, time(23, 59, 59), zone).astimezone(UTC)


def name_shares(session: Session, links: Sequence[ShareLink]) -> dict[int, str]:
    """What the admin's side calls links, by their numbers.

    Their titles; without one, the first of the works and how many more there are. Works in the
    trash count too, so that a link keeps its name.
    """
    untitled = [link.id for link in links if not link.title]
    found = session.execute(
        select(ShareItem.share_id, Group.id, Group.title)
        .join(Group, Group.id == ShareItem.group_id)
        .where(ShareItem.share_id.in_(untitled))
        .order_by(ShareItem.share_id, ShareItem.position, ShareItem.group_id)
    ).all()
    works: dict[int, list[str]] = {}
    for share_id, group_id, title in found:
        works.setdefault(share_id, []).append(name_group(group_id, title))
    names = {}
    for link in links:
        first, *rest = works.get(link.id, [f"Link {link.id}"])
        names[link.id] = link.title or first + (f" and {len(rest)} more" if rest else "")
    return names


def list_groups(session: Session, numbers: Sequence[int]) -> Sequence[Group]:
    """Those of the groups that are there and not in the trash."""
    return session.scalars(
        select(Group).where(
            Group.id.in_([one for one in numbers if 0 < one <= MAX_ID]), Group.state != "trash"
        )
    ).all()


def _renew(share: ShareLink) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    share.token_hash = _hash(token)
    return token


def _hash(token: str) -> str:
    # The token is random and long: a plain hash cannot be turned round by guessing.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def get_share(session: Session, number: int) -> ShareLink:
    """:raise NotFoundError: no such link."""
    share = session.get(ShareLink, number) if 0 < number <= MAX_ID else None
    if share is None:
        raise NotFoundError("share link", number)
    return share


def renew_share(session: Session, number: int) -> tuple[ShareLink, str]:
    """Give a link another address; the old one opens nothing any more.

    :raise InvalidInputError: it was revoked, or is over.
    """
    share = get_share(session, number)
    if _get_state(share, get_database_time(session)) != "open":
        raise InvalidInputError("This link does not open any more; make a new one.")
    token = _renew(share)
    session.flush()
    return share, token


def revoke_share(session: Session, number: int) -> ShareLink:
    """End a link at once."""
    share = get_share(session, number)
    if share.revoked_at is None:
        share.revoked_at = get_database_time(session)
        session.flush()
    return share


def reopen_share(session: Session, number: int) -> ShareLink:
    """Take back that a link was revoked: its address, which the hub does not know, opens again."""
    share = get_share(session, number)
    share.revoked_at = None
    session.flush()
    return share


def list_shares(
    session: Session, before: int | None = None, limit: int = SHARES_PER_PAGE
) -> list[ListedShare]:
    """Links from new to old.

    :param before: the number of the link that the page before ended with.
    """
    query = select(ShareLink).order_by(ShareLink.id.desc()).limit(limit)
    if before is not None:
        query = query.where(ShareLink.id < min(before, MAX_ID))
    shares = session.scalars(query).all()
    counts = dict(
        session.execute(
            select(ShareItem.share_id, func.count())
            .join(Group, Group.id == ShareItem.group_id)
            .where(ShareItem.share_id.in_([one.id for one in shares]), Group.state != "trash")
            .group_by(ShareItem.share_id)
        ).all()
    )
    names = name_shares(session, shares)
    now = get_database_time(session)
    return [
        ListedShare(one, names[one.id], counts.get(one.id, 0), _get_state(one, now))
        for one in shares
    ]


def _get_state(share: ShareLink, now: datetime) -> str:
    if share.revoked_at is not None:
        return "revoked"
    if share.expires_at is not None and share.expires_at <= now:
        return "over"
    return "open"


# --- Opening --------------------------------------------------------------------------------------


def get_open_share(session: Session, token: str) -> ShareLink:
    """The link that an address stands for.

    :raise NotFoundError: there is none, it was revoked, or it is over.
    """
    share = session.scalars(
        select(ShareLink).where(ShareLink.token_hash == _hash(token[:200]))
    ).one_or_none()
    if share is None or _get_state(share, get_database_time(session)) != "open":
        raise NotFoundError("page", "")
    return share


def check_password(
    session: Session, secret_key: str, share: ShareLink, password: str, address: str
) -> None:
    """Make sure that a visitor knows the link's password.

    The caller must hold no uncommitted change.

    :param address: the visitor's IP address, whose tries are counted.
    :raise NotAllowedError: wrong.
    :raise TooManyTriesError: nothing was checked; ``retry_after_seconds`` says when it may be.
    """
    number, stored = share.id, share.password_hash
    end_read(session)
    count_attempt(session, secret_key, "share", f"{number} {address}")
    count_attempt(session, secret_key, "share", str(number), _LONGEST_COMMON_WAIT_SECONDS)
    if not check_password_hash(stored, password[:MAX_PASSWORD_CHARS]):
        raise NotAllowedError(mark("The password is wrong."))
    forget_attempts(session, secret_key, "share", f"{number} {address}")
    forget_attempts(session, secret_key, "share", str(number))


def make_password_mark(share: ShareLink) -> str:
    """What a session keeps once the password was right; another password makes it worthless."""
    return hashlib.sha256(f"{share.token_hash} {share.password_hash}".encode()).hexdigest()[:32]


def list_shared_groups(session: Session, share: ShareLink) -> Sequence[Group]:
    """The groups of a link in its order; what is in the trash or has no shot is left out."""
    return session.scalars(
        select(Group)
        .join(ShareItem, ShareItem.group_id == Group.id)
        .where(ShareItem.share_id == share.id, Group.state != "trash", Group.image_count > 0)
        .order_by(ShareItem.position, ShareItem.group_id)
    ).all()


def has_group(session: Session, share: ShareLink, number: int) -> bool:
    """Whether a link shows a group."""
    return any(group.id == number for group in list_shared_groups(session, share))


def count_view(session: Session, share: ShareLink) -> None:
    """Note that somebody opened a link; many at once are all counted."""
    count_rows(
        session,
        update(ShareLink)
        .where(ShareLink.id == share.id)
        .values(view_count=ShareLink.view_count + 1, last_viewed_at=get_database_time(session)),
    )
