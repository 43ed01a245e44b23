"""Share links: making, opening, ending, passwords, what they show."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from imagehub.domain.library import trash
from imagehub.domain.people import passwords
from imagehub.domain.sharing import links
from imagehub.domain.vault import SigningKeys
from imagehub.errors import InvalidInputError, NotAllowedError, NotFoundError, TooManyTriesError
from imagehub.models import Group, ShareLink
from tests.fixtures.site import Site

SECRET = SigningKeys("a secret of this hub")


@pytest.fixture
def group_id(either_site: Site) -> int:
    return either_site.add_group(state="draft")


def list_shown(session: Session, share: ShareLink) -> list[int]:
    return [group.id for group in links.list_shared_groups(session, share)]


def test_the_address_is_long_random_and_kept_nowhere(
    either_session: Session, group_id: int
) -> None:
    share, token = links.create_share(either_session, None, [group_id])
    other, other_token = links.create_share(either_session, None, [group_id])
    assert len(token) == 43
    assert token != other_token
    assert token not in repr(vars(share))
    assert links.get_open_share(either_session, token).id == share.id
    assert links.get_open_share(either_session, other_token).id == other.id
    for wrong in ("", "x", token[:-1], share.token_hash, token * 20):
        with pytest.raises(NotFoundError):
            links.get_open_share(either_session, wrong)


def test_groups_are_shown_in_their_order_and_only_while_they_are_there(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    second, third = either_site.add_group(), either_site.add_group()
    empty = either_site.add_group([])
    chosen = [third, group_id, empty, second, third]
    share, _ = links.create_share(either_session, None, chosen)
    assert list_shown(either_session, share) == [third, group_id, second]
    trash.trash_groups(either_session, [second], None)
    assert list_shown(either_session, share) == [third, group_id]
    assert links.get_shared_group(either_session, share, third).id == third
    for hidden in (second, empty, 999):
        with pytest.raises(NotFoundError):
            links.get_shared_group(either_session, share, hidden)
    (listed,) = links.list_shares(either_session)
    assert (listed.group_count, listed.state) == (3, "open")


def test_a_link_is_called_by_its_title_or_by_what_it_shows(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    harbour, other = either_site.add_group(), either_site.add_group()
    either_session.get_one(Group, harbour).title = "Harbour"
    made = [
        links.create_share(either_session, None, chosen, title=title)[0].id
        for chosen, title in (
            ([harbour, group_id, other], "  For   Ada "),
            ([harbour, group_id, other], ""),
            ([group_id, harbour], ""),
            ([harbour], ""),
            ([harbour], "Harbour"),
            ([harbour, other], "Harbour"),
        )
    ]

    def list_names() -> list[str]:
        names = {one.share.id: one.name for one in links.list_shares(either_session)}
        return [names[number] for number in made]

    names = ["For Ada", "Harbour and 2 more", f"Untitled {group_id} and 1 more"]
    assert list_names() == [*names, "Harbour", "Harbour", "Harbour"]
    either_session.get_one(Group, harbour).title = "Harbour at dusk"
    trash.trash_groups(either_session, [other], None)
    names[1] = "Harbour at dusk and 2 more"
    assert list_names() == [*names, "Harbour at dusk", "Harbour at dusk", "Harbour"]
    either_session.delete(either_session.get_one(Group, harbour))
    either_session.flush()
    names[1] = f"Untitled {group_id} and 1 more"
    gone = [f"Link {number}" for number in made[3:5]]
    assert list_names() == ["For Ada", names[1], f"Untitled {group_id}", *gone, "Harbour"]


def test_a_link_ends_with_its_last_day(either_session: Session, group_id: int) -> None:
    today = datetime.now(UTC).date()
    share, token = links.create_share(either_session, None, [group_id], last_day=today)
    assert links.get_open_share(either_session, token).id == share.id
    share.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    either_session.flush()
    with pytest.raises(NotFoundError):
        links.get_open_share(either_session, token)
    assert links.list_shares(either_session)[0].state == "over"
    with pytest.raises(InvalidInputError):
        links.renew_share(either_session, share.id)
    with pytest.raises(InvalidInputError):
        links.create_share(either_session, None, [group_id], last_day=date(2020, 1, 1))


def test_the_last_day_is_one_of_the_clock_of_who_made_the_link(
    either_session: Session, group_id: int
) -> None:
    # West of Greenwich a day goes on when it is over there, east of it it is over before.
    west, east = 12 * 60, -14 * 60
    today = (datetime.now(UTC) - timedelta(minutes=west)).date()
    links.create_share(either_session, None, [group_id], last_day=today, minutes_behind_utc=west)
    for minutes, end in (
        (8 * 60, datetime(2999, 7, 2, 7, 59, 59, tzinfo=UTC)),
        (0, datetime(2999, 7, 1, 23, 59, 59, tzinfo=UTC)),
        (-345, datetime(2999, 7, 1, 18, 14, 59, tzinfo=UTC)),
    ):
        day = date(2999, 7, 1)
        share, _ = links.create_share(
            either_session, None, [group_id], last_day=day, minutes_behind_utc=minutes
        )
        assert share.expires_at == end
    links.create_share(either_session, None, [group_id], last_day=date.max, minutes_behind_utc=west)
    with pytest.raises(InvalidInputError):
        links.create_share(
            either_session, None, [group_id], last_day=date.min, minutes_behind_utc=east
        )


def test_a_revoked_link_opens_nothing(either_session: Session, group_id: int) -> None:
    share, token = links.create_share(either_session, None, [group_id])
    links.revoke_share(either_session, share.id)
    with pytest.raises(NotFoundError):
        links.get_open_share(either_session, token)
    assert links.list_shares(either_session)[0].state == "revoked"
    links.reopen_share(either_session, share.id)
    assert links.get_open_share(either_session, token).id == share.id


def test_a_new_address_ends_the_old_one(either_session: Session, group_id: int) -> None:
    share, token = links.create_share(either_session, None, [group_id])
    _, fresh = links.renew_share(either_session, share.id)
    assert links.get_open_share(either_session, fresh).id == share.id
    with pytest.raises(NotFoundError):
        links.get_open_share(either_session, token)


def test_a_password_is_checked_and_guessing_slows_down(
    either_session: Session, group_id: int
) -> None:
    share, _ = links.create_share(either_session, None, [group_id], password="open sesame")
    assert "sesame" not in share.password_hash
    mark = links.make_password_mark(share)
    either_session.commit()
    links.check_password(either_session, SECRET, share, "open sesame", "192.0.2.1")
    with pytest.raises(TooManyTriesError):
        for _ in range(20):
            with pytest.raises(NotAllowedError):
                links.check_password(either_session, SECRET, share, "wrong", "192.0.2.1")
    links.renew_share(either_session, share.id)
    assert links.make_password_mark(share) != mark


@pytest.mark.parametrize(("password", "is_good"), [("1234567", False), ("12345678", True)])
def test_a_new_password_takes_eight_characters(
    either_session: Session, group_id: int, password: str, is_good: bool
) -> None:
    if is_good:
        links.create_share(either_session, None, [group_id], password=password)
        return
    with pytest.raises(InvalidInputError) as caught:
        links.create_share(either_session, None, [group_id], password=password)
    fault = "A password must have at least 8 characters."
    assert caught.value.fields == {"password": fault}


def test_a_shorter_password_of_before_opens_and_its_hash_is_made_again(
    either_session: Session, group_id: int
) -> None:
    share, _ = links.create_share(either_session, None, [group_id], password="open sesame")
    older = generate_password_hash("kiwi", f"scrypt:{passwords.SCRYPT_N // 4}:8:1")
    share.password_hash = older
    either_session.commit()
    with pytest.raises(NotAllowedError):
        links.check_password(either_session, SECRET, share, "lime", "192.0.2.1")
    either_session.commit()
    assert share.password_hash == older
    for _ in range(2):
        links.check_password(either_session, SECRET, share, "kiwi", "192.0.2.1")
        either_session.commit()
        assert share.password_hash.startswith(f"scrypt:{passwords.SCRYPT_N}:8:1$")


def test_made_passwords_are_long_and_differ() -> None:
    made = {links.make_password() for _ in range(20)}
    assert len(made) == 20
    assert all(
        re.fullmatch("[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}", one) for one in made
    )


def test_views_are_counted(either_session: Session, group_id: int) -> None:
    share, _ = links.create_share(either_session, None, [group_id])
    links.count_view(either_session, share)
    links.count_view(either_session, share)
    either_session.refresh(share)
    assert share.view_count == 2
    assert share.last_viewed_at is not None


def test_what_cannot_be_shared_is_refused(either_session: Session, group_id: int) -> None:
    with pytest.raises(InvalidInputError):
        links.create_share(either_session, None, [])
    with pytest.raises(InvalidInputError):
        links.create_share(either_session, None, list(range(1, 300)))
    with pytest.raises(NotFoundError):
        links.create_share(either_session, None, [group_id, 999])
    with pytest.raises(InvalidInputError):
        links.create_share(either_session, None, [group_id], password="x" * 201)
    either_session.get_one(Group, group_id).state = "trash"
    either_session.flush()
    with pytest.raises(NotFoundError):
        links.create_share(either_session, None, [group_id])


def test_links_are_listed_page_by_page(either_session: Session, group_id: int) -> None:
    made = [links.create_share(either_session, None, [group_id])[0].id for _ in range(3)]
    first = links.list_shares(either_session, limit=2)
    rest = links.list_shares(either_session, before=first[-1].share.id, limit=2)
    assert [one.share.id for one in first + rest] == made[::-1]
