"""What expires, and when people are warned of it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from imagehub.database import now_utc
from imagehub.domain.site import endings
from imagehub.domain.site.attention import KINDS, collect_facts, list_attention
from imagehub.models import DriveAccount
from imagehub.translator import get_translator
from tests.fixtures.connection import DriveHub


def make_ending(days: int) -> endings.Ending:
    day = now_utc().date() + timedelta(days=days)
    return endings.Ending("secret", day, "Secret", "It ends", "Soon.", "/admin/connection")


@pytest.mark.parametrize(
    ("days", "level"),
    [(15, 0), (14, 1), (4, 1), (3, 2), (0, 2), (-1, 3), (-400, 3)],
)
def test_a_warning_comes_two_weeks_and_three_days_before(days: int, level: int) -> None:
    assert make_ending(days).level == level


def test_everything_that_expires_is_listed_the_first_first(drive_hub: DriveHub) -> None:
    drive_hub.connect()
    day = date(2020, 1, 31)
    settings = replace(drive_hub.settings, ms_client_secret_expires=day)
    found = endings.list_endings(drive_hub.session, drive_hub.clients, settings)
    assert [one.kind for one in found] == ["secret", "sign-in"]
    assert [one.level for one in found] == [3, 0]
    assert found[0].day == day
    assert 89 <= found[1].days_left <= 90
    assert {one.kind for one in found} <= KINDS.keys()


def test_a_sign_in_of_a_previous_account_expires_too(drive_hub: DriveHub) -> None:
    drive_hub.connect()
    used_at = now_utc() - timedelta(days=88)
    drive_hub.session.execute(update(DriveAccount).values(is_active=False, refreshed_at=used_at))
    drive_hub.session.commit()
    facts = collect_facts(drive_hub.session, drive_hub.clients, drive_hub.settings)
    [warning] = [one for one in list_attention(facts) if one.kind == "sign-in"]
    assert warning.is_fault
    german = get_translator("de").translate(warning.words)
    assert german.startswith("demo.artist@outlook.com: Sie wurde lange nicht verwendet")
    assert f"{(used_at + timedelta(days=90)).date().day}. " in german, "the date in German"


def test_a_new_hub_is_not_told_to_connect(drive_hub: DriveHub) -> None:
    """Home shows the first steps instead."""
    settings = replace(drive_hub.settings, ms_client_secret="")
    facts = collect_facts(drive_hub.session, drive_hub.clients, settings)
    assert list_attention(facts) == []
    assert [one.kind for one in list_attention(replace(facts, is_new=False))] == ["connection"]
