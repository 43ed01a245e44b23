"""What videos say about places, people and devices."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagehub.imaging.private_data import PrivateData
from imagehub.imaging.sources import FileSource
from imagehub.imaging.video import look_at_video
from tests.imaging.private_data import files as pictures
from tests.imaging.private_data.checks import clean, examine
from tests.imaging.video.files import (
    SOUND,
    box,
    element,
    full_box,
    make_apple_values,
    make_brand,
    make_entry,
    make_header,
    make_mp4,
    make_place,
    make_tags,
    make_track,
    make_webm,
)

PLACE = b"+48.8584+002.2945/"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
LOCI = full_box(b"loci", b"\x15\xc7Montmartre\0\0", struct.pack(">iii", 2 << 16, 48 << 16, 0))


def check_cleaned(data: bytes, kinds: tuple[str, ...], *secrets: bytes) -> bytes:
    """Clean a video; check that it has the same length and headers, and nothing private."""
    assert all(secret in data for secret in secrets)
    found = examine(data)
    assert found.kinds == kinds
    assert found.is_removable
    cleaned = clean(data, found)
    assert len(cleaned) == len(data)
    assert not [secret for secret in secrets if secret in cleaned]
    assert examine(cleaned) == PrivateData()
    facts = [look_at_video(FileSource(io.BytesIO(one))) for one in (data, cleaned)]
    assert facts[0] == facts[1]
    return cleaned


@pytest.mark.parametrize(
    "data",
    [
        make_mp4(),
        make_mp4(is_last=True),
        make_webm(),
        make_webm(is_live=True),
        make_webm(tags=make_tags(TITLE="Harbour", ENCODER="Lavf60")),
        make_mp4(more=make_apple_values({"com.apple.quicktime.make": "Apple"})),
        make_mp4(more=box(b"udta", box(b"\xa9nam", b"\0\x07\x15\xc7Harbour"))),
    ],
)
def test_a_video_that_says_nothing_private_stays_as_it_is(data: bytes) -> None:
    assert examine(data) == PrivateData()


@pytest.mark.parametrize("is_last", [False, True])
def test_the_place_that_phones_write_is_blanked(is_last: bool) -> None:
    data = make_mp4(more=make_place(PLACE), is_last=is_last)
    cleaned = check_cleaned(data, ("place",), PLACE)
    assert b"film" in cleaned


def test_places_of_other_makers_are_blanked() -> None:
    check_cleaned(make_mp4(more=box(b"udta", LOCI)), ("place",), b"Montmartre")
    gopro = box(b"udta", box(b"GPMF", b"DEVC\0\1GPS5" + bytes(16)), box(b"CAME", b"hero-1234"))
    check_cleaned(make_mp4(more=gopro), ("place", "device"), b"GPS5", b"hero-1234")


def test_named_values_of_apple_are_blanked_one_by_one() -> None:
    values = {
        "com.apple.quicktime.location.ISO6709": PLACE.decode(),
        "com.apple.quicktime.location.accuracy.horizontal": "4.76",
        "com.apple.quicktime.direction.facing": "231.5",
        "com.apple.quicktime.model": "iPhone 15",
        "com.apple.quicktime.camera.serialnumber": "F00-4711",
    }
    data = make_mp4(brand=b"qt  ", more=make_apple_values(values))
    cleaned = check_cleaned(data, ("place", "device"), PLACE, b"4.76", b"231.5", b"F00-4711")
    assert b"iPhone 15" in cleaned


def test_a_place_in_a_description_is_found() -> None:
    values = {"com.apple.quicktime.description": "Seen at 48.8584 N, 2.2945 E at noon"}
    check_cleaned(make_mp4(more=make_apple_values(values)), ("place",), b"48.8584")


def test_xmp_is_cleaned_in_its_box() -> None:
    packet = pictures.XMP.encode()
    inside = check_cleaned(
        make_mp4(more=box(b"udta", box(b"XMP_", packet))), ("place", "person", "device")
    )
    beside = check_cleaned(
        make_mp4() + box(b"uuid", XMP_UUID, packet), ("place", "person", "device")
    )
    for cleaned in (inside, beside):
        assert not [secret for secret in pictures.SECRETS if secret in cleaned]


def make_telemetry(entry: bytes, samples: list[bytes], **options: bytes) -> bytes:
    """Write a film with a track of its own for what the camera notes."""
    start = len(make_brand(b"isom", b"mp42")) + 8
    places, at = [], start
    for sample in samples:
        places.append((at, len(sample)))
        at += len(sample)
    track = make_track(b"meta", entry=entry, samples=places)
    data = make_mp4(
        [make_track(), SOUND, track], content=b"".join(samples) + b"film", is_last=True, **options
    )
    assert data[start : start + len(samples[0])] == samples[0]
    return data


@pytest.mark.parametrize("codec", [b"gpmd", b"camm", b"djmd", b"rtmd"])
def test_the_track_of_a_camera_with_gps_is_blanked_whole(codec: bytes) -> None:
    data = make_telemetry(box(codec, bytes(8)), [b"first-position", b"second-position"])
    cleaned = check_cleaned_track(data, b"first-position", b"second-position")
    assert b"film" in cleaned


def check_cleaned_track(data: bytes, *secrets: bytes) -> bytes:
    """The entry of a cleaned track still says what kind it is; its samples say nothing."""
    found = examine(data)
    assert (found.kinds, found.is_removable) == (("place",), True)
    cleaned = clean(data, found)
    assert len(cleaned) == len(data)
    assert not [secret for secret in secrets if secret in cleaned]
    return cleaned


def test_subtitles_with_positions_are_blanked() -> None:
    samples = [b"F/2.8 GPS (2.2945, 48.8584, 20)", b"F/2.8 GPS (2.2946, 48.8585, 20)"]
    check_cleaned_track(make_telemetry(box(b"text", bytes(50)), samples), *samples)
    words = [b"\0\x0fGood morning to", b"\0\x0fall of you here"]
    assert examine(make_telemetry(box(b"tx3g", bytes(50)), words)) == PrivateData()


def test_a_fragmented_film_with_positions_cannot_be_cleaned() -> None:
    track = make_track(b"meta", entry=box(b"gpmd", bytes(8)))
    data = make_mp4([make_track(), track], more=box(b"mvex", bytes(8)))
    assert examine(data) == PrivateData(("place",), is_removable=False)


@pytest.mark.parametrize("claimed", [3, 2_000_000_000])
def test_a_track_that_claims_more_chunks_than_it_lists_is_given_up(claimed: int) -> None:
    """Counting them all would take minutes."""
    data = make_telemetry(box(b"gpmd", bytes(8)), [b"first-position", b"second-position"])
    at = data.rindex(b"stco") + 8
    assert data[at : at + 4] == struct.pack(">I", 2)
    assert examine(data).is_removable
    broken = data[:at] + struct.pack(">I", claimed) + data[at + 4 :]
    assert examine(broken) == PrivateData(("other",), is_removable=False)


def test_tags_of_webm_are_blanked_behind_the_content_too() -> None:
    tags = make_tags(TITLE="Harbour", RECORDING_LOCATION="Paris, 7e")
    for has_list in (True, False):
        check_cleaned(make_webm(tags=tags, has_list=has_list), ("place",), b"Paris, 7e")
    title = make_webm(tags=make_tags(COMMENT="geo:48.8584,2.2945"))
    check_cleaned(title, ("place",), b"geo:48.8584,2.2945")


def test_files_attached_to_webm_are_dropped() -> None:
    data = make_webm(tags=element(0x1941A469, b"a map"), has_list=False)
    check_cleaned(data, ("other",), b"a map")


SEEDS = [
    make_mp4(more=make_place(), is_last=True),
    make_mp4(more=make_apple_values({"com.apple.quicktime.location.ISO6709": "+48.85+002.29/"})),
    make_telemetry(box(b"gpmd", bytes(8)), [b"first", b"second"]),
    make_webm(tags=make_tags(LOCATION="Paris")),
    make_mp4([make_track(entry=make_entry(b"hvc1", (640, 360)))], header=make_header(is_long=True)),
]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(
        st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=6
    ),
)
def test_a_damaged_video_is_cleaned_inside_its_bounds_or_given_up(
    seed: bytes, changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(seed)
    for at, piece in changes:
        data[at % len(data) : at % len(data) + len(piece)] = piece
    found = examine(bytes(data))
    assert len(clean(bytes(data), found)) == len(data)
    assert all(blank.offset >= 0 and blank.end <= len(data) for blank in found.blanks)
