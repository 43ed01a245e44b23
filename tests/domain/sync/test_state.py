"""What is stored for an image after news of its file."""

from typing import Any

import pytest

from imagehub.clients import DriveItem, ItemAnswer
from imagehub.domain.sync.state import (
    ASK,
    FOLLOW,
    NO_DOUBT,
    PLACE,
    SEEK,
    compare,
    judge_answer,
    judge_mention,
)
from imagehub.models import Image

KNOWN = {"drive_hash": "h1", "drive_size_bytes": 10, "etag": "e1", "ctag": "c1"}


def keep(**changes: Any) -> Image:
    """Return an image of ``a.jpg`` without doubt."""
    place = {"name": "a.jpg", "folder_id": "f1", "folder_name": "Works"}
    return Image(**{**KNOWN, **place, "drive_state": "ok", "drive_doubt": NO_DOUBT, **changes})


def tell(**changes: Any) -> DriveItem:
    """Return that image's file as listed."""
    facts = {"name": "a.jpg", "parent_id": "f1", "size_bytes": 10, "quick_xor_hash": "h1"}
    return DriveItem(
        id="i",
        is_folder=False,
        created_time="",
        modified_time="",
        etag="e1",
        ctag="c1",
        **{**facts, **changes},
    )


@pytest.mark.parametrize(
    ("kept", "listed", "verdict"),
    [
        ({}, {"quick_xor_hash": "h1", "ctag": "c2", "etag": "e2", "size_bytes": 10}, True),
        ({}, {"quick_xor_hash": "h2", "ctag": "c1", "etag": "e1", "size_bytes": 10}, False),
        # Without a known hash, the cTag identifies the content.
        ({"drive_hash": ""}, {"quick_xor_hash": "h1", "ctag": "c1", "size_bytes": 11}, True),
        ({}, {"ctag": "c2", "etag": "e2", "size_bytes": 10}, False),
        # Without a cTag, only an equal eTag or a different size is conclusive.
        ({}, {"etag": "e1", "size_bytes": 11}, True),
        ({}, {"etag": "e2", "size_bytes": 11}, False),
        ({}, {"etag": "e2", "size_bytes": 10}, None),
        ({"drive_size_bytes": 0}, {"etag": "e2", "size_bytes": 11}, None),
        ({"etag": ""}, {"etag": "", "size_bytes": 10}, None),
    ],
)
def test_contents_are_compared_by_the_most_reliable_value(
    kept: dict[str, Any], listed: dict[str, Any], verdict: bool | None
) -> None:
    facts = {"size_bytes": 0, **listed}
    item = DriveItem("i", "a.jpg", False, created_time="", modified_time="", **facts)
    assert compare(Image(**{**KNOWN, **kept}), item) is verdict


@pytest.mark.parametrize(
    ("kept", "told", "written"),
    [
        ({}, {}, {}),
        ({}, {"quick_xor_hash": "h2"}, {"drive_state": "changed"}),
        ({"drive_state": "changed"}, {}, {"drive_state": "ok"}),
        ({}, {"is_deleted": True}, {"drive_state": "missing", "drive_doubt": SEEK}),
        ({"drive_state": "missing", "drive_doubt": SEEK}, {}, {"drive_doubt": ASK}),
        # A new name is stored only when the file is known to be inside the root folder.
        ({}, {"name": "secret.jpg"}, {"drive_doubt": ASK}),
        ({"drive_state": "outside"}, {}, {"drive_doubt": ASK}),
        ({}, {"parent_id": "f2"}, {"folder_id": "f2", "drive_doubt": FOLLOW}),
        ({"drive_doubt": FOLLOW}, {"quick_xor_hash": "h2"}, {}),
    ],
)
def test_a_feed_entry_is_applied_or_makes_the_image_doubtful(
    kept: dict[str, Any], told: dict[str, Any], written: dict[str, Any]
) -> None:
    assert judge_mention(keep(**kept), tell(**told), is_full=False) == written


def test_a_full_listing_leaves_the_location_to_be_looked_up() -> None:
    assert judge_mention(keep(drive_doubt=ASK), tell(), is_full=True) == {"drive_doubt": PLACE}


@pytest.mark.parametrize(
    ("kept", "answer", "written"),
    [
        ({"drive_doubt": ASK}, ItemAnswer(tell()), {}),
        ({}, ItemAnswer(), {"drive_state": "missing", "drive_doubt": SEEK}),
        ({}, ItemAnswer(is_outside=True), {"drive_state": "outside", "drive_doubt": SEEK}),
        ({"drive_state": "missing"}, ItemAnswer(tell()), {"drive_state": "ok"}),
        (
            {"drive_state": "missing", "offered_item_id": "other"},
            ItemAnswer(tell()),
            {"drive_state": "ok", "offered_item_id": ""},
        ),
        ({}, ItemAnswer(tell(name="b.jpg")), {"name": "b.jpg"}),
        (
            {},
            ItemAnswer(tell(parent_id="f2")),
            {"folder_id": "f2", "folder_name": "Elsewhere"},
        ),
        (
            {"folder_id": "f2", "drive_doubt": FOLLOW},
            ItemAnswer(tell(parent_id="f2")),
            {"folder_name": "Elsewhere"},
        ),
    ],
)
def test_an_answer_resolves_the_doubt(
    kept: dict[str, Any], answer: ItemAnswer, written: dict[str, Any]
) -> None:
    values = judge_answer(keep(**kept), answer, {"f2": "Elsewhere"})
    assert values == {"drive_doubt": NO_DOUBT, **written}
