"""Which videos browsers can play, and what their headers say."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagehub.errors import UnreadablePictureError
from imagehub.imaging.sources import FetchedSource, FileSource
from imagehub.imaging.video import VideoFacts, format_length, is_video, look_at_video
from tests.imaging.private_data import files as pictures
from tests.imaging.video.files import (
    QUARTER_TURN,
    SOUND,
    WEBM_SOUND,
    box,
    element,
    full_box,
    long_box,
    make_avc,
    make_brand,
    make_entry,
    make_esds,
    make_header,
    make_mp4,
    make_track,
    make_webm,
    make_webm_track,
    number,
)


def look(data: bytes) -> VideoFacts:
    return look_at_video(FileSource(io.BytesIO(data)))


def refuse(data: bytes) -> str:
    assert is_video(data[:1024])
    with pytest.raises(UnreadablePictureError) as caught:
        look(data)
    return str(caught.value)


MP4 = VideoFacts("video/mp4", "H.264", 640, 360, 42_000, has_sound=True)
FRAGMENTED = make_mp4(
    header=make_header(0), more=box(b"mvex", full_box(b"mehd", struct.pack(">I", 7_000)))
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (make_mp4(), MP4),
        (make_mp4(is_last=True), MP4),
        (make_mp4(header=make_header(3_780_000, 90_000, is_long=True)), MP4),
        (make_mp4(brand=b"M4V "), MP4),
        (make_mp4(brand=b"qt  "), VideoFacts("video/quicktime", "H.264", 640, 360, 42_000, True)),
        (make_mp4()[20:], VideoFacts("video/quicktime", "H.264", 640, 360, 42_000, True)),
        (make_mp4([make_track()]), VideoFacts("video/mp4", "H.264", 640, 360, 42_000, False)),
        (
            make_mp4([make_track(matrix=QUARTER_TURN, version=1), SOUND]),
            VideoFacts("video/mp4", "H.264", 360, 640, 42_000, True),
        ),
        (FRAGMENTED, VideoFacts("video/mp4", "H.264", 640, 360, 7_000, True)),
        (
            make_mp4(header=make_header(0), tracks=[make_track()]),
            VideoFacts("video/mp4", "H.264", 640, 360, 5_000, False),
        ),
        # A still of the cover as a track of its own.
        (make_mp4([make_track(codec=b"jpeg", sides=(99, 99)), make_track(), SOUND]), MP4),
        (
            make_mp4([make_track(entry=make_entry(b"avc1", (640, 360), make_avc(110)))]),
            VideoFacts("video/mp4", "H.264 High", 640, 360, 42_000, False),
        ),
        (make_webm(), VideoFacts("video/webm", "VP9", 640, 360, 42_000, True)),
        (
            make_webm([make_webm_track("V_AV1")]),
            VideoFacts("video/webm", "AV1", 640, 360, 42_000, False),
        ),
        (
            make_webm(duration=None, is_live=True),
            VideoFacts("video/webm", "VP9", 640, 360, 0, True),
        ),
    ],
)
def test_a_playable_video_is_recognised(data: bytes, expected: VideoFacts) -> None:
    assert is_video(data[:1024])
    assert look(data) == expected


@pytest.mark.parametrize(
    ("codec", "name"),
    [(b"hvc1", "HEVC"), (b"hev1", "HEVC"), (b"vp09", "VP9"), (b"vp08", "VP8"), (b"av01", "AV1")],
)
def test_other_playable_codecs_are_named(codec: bytes, name: str) -> None:
    assert look(make_mp4([make_track(codec=codec)])).codec == name


@pytest.mark.parametrize(
    ("track", "name"),
    [
        (make_track(codec=b"apch"), "ProRes"),
        (make_track(codec=b"mjpa"), "Motion JPEG"),
        (make_track(codec=b"AVdn"), "DNxHD"),
        (make_track(codec=b"zz\1z"), "zz?z"),
        (make_track(entry=make_entry(b"mp4v", (640, 360), make_esds(0x20))), "MPEG-4 Part 2"),
        (make_track(entry=make_entry(b"mp4v", (640, 360), make_esds(0x61))), "MPEG-2"),
    ],
)
def test_a_codec_that_no_browser_plays_is_named(track: bytes, name: str) -> None:
    assert refuse(make_mp4([track, SOUND])) == (
        f"This video is encoded as {name}, which browsers cannot play. Export it as MP4 with H.264."
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"RIFF\0\0\0\0AVI LIST" + bytes(99), "AVI"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(99), "Windows Media"),
        (b"FLV\x01" + bytes(99), "Flash"),
        (b"OggS" + bytes(99), "Ogg"),
        (b"\0\0\x01\xba" + bytes(99), "MPEG"),
        ((b"\x47" + bytes(187)) * 5, "MPEG-TS"),
        (bytes(4) + (b"\x47" + bytes(191)) * 5, "MPEG-TS"),
        (make_webm(doc_type="matroska"), "Matroska"),
    ],
)
def test_a_container_that_no_browser_plays_is_named(data: bytes, kind: str) -> None:
    assert refuse(data) == (
        f"This is a video of the type {kind}, which browsers cannot play. Export it as MP4 with "
        "H.264."
    )


ENCRYPTION = element(0x6D80, element(0x6240, element(0x5035, number(0x47E1, 5))))


@pytest.mark.parametrize(
    ("data", "beginning"),
    [
        (make_mp4([make_track(codec=b"encv")]), "This video is encrypted"),
        (make_webm([make_webm_track(more=ENCRYPTION)]), "This video is encrypted"),
        (make_mp4([SOUND]), "This file contains only sound."),
        (make_webm([WEBM_SOUND]), "This file contains only sound."),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(99), "This file contains only sound."),
        (b"ID3\4" + bytes(99), "This file contains only sound."),
        (make_mp4([]), "This video contains no moving picture."),
        (make_brand() + box(b"mdat", bytes(99)), "This video is damaged or incomplete."),
        (make_mp4(is_last=True)[:-9], "This video is damaged or incomplete."),
        (make_webm()[:-9], "This video is damaged or incomplete."),
        (make_mp4([make_track(sides=(0, 0))]), "This video is damaged or incomplete."),
        (make_webm([make_webm_track(sides=(40_000, 9))]), "This video is damaged or incomplete."),
    ],
)
def test_a_video_that_cannot_be_played_is_refused_with_advice(data: bytes, beginning: str) -> None:
    assert refuse(data).startswith(beginning)


@pytest.mark.parametrize("name", ["heic", "avif", "jpeg", "png", "webp"])
def test_pictures_are_no_videos(name: str) -> None:
    pictures_by_name = {
        "heic": make_brand(b"heic", b"mif1"),
        "avif": make_brand(b"isom", b"avif"),
        "jpeg": pictures.make_jpeg(),
        "png": pictures.make_png(),
        "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    }
    assert not is_video(pictures_by_name[name][:1024].ljust(64, b"\0"))


def test_only_the_headers_of_a_long_film_are_read() -> None:
    content = long_box(b"mdat", bytes(40_000_000))
    movie = box(b"moov", make_header(), make_track(), SOUND)
    data = make_brand(b"isom") + content + movie
    fetched = []

    def fetch(offset: int, length: int) -> bytes:
        fetched.append(length)
        return data[offset : offset + length]

    source = FetchedSource(len(data), fetch, max_bytes=1_000_000)
    assert look_at_video(source) == MP4
    assert sum(fetched) < 200_000


def test_a_file_that_takes_too_much_reading_is_refused() -> None:
    boxes = b"".join(box(b"free", bytes(100_000)) for _ in range(30))
    data = make_brand() + boxes + box(b"moov", make_header(), make_track())
    source = FetchedSource(len(data), lambda at, size: data[at : at + size], max_bytes=500_000)
    with pytest.raises(UnreadablePictureError, match="takes too long to read"):
        look_at_video(source)


@pytest.mark.parametrize(
    "data",
    [
        # Boxes without an end, of no size, in themselves, and too many of them.
        make_brand() + struct.pack(">I4sQ", 1, b"moov", 2**64 - 1) + bytes(64),
        make_brand() + struct.pack(">I4s", 4, b"moov") + bytes(64),
        make_brand() + struct.pack(">I4sQ", 1, b"moov", 0) + bytes(64),
        make_brand() + box(b"free") * 50_000,
        make_brand() + box(b"moov", make_header(), box(b"trak") * 500),
        make_brand() + box(b"moov", make_header(), box(b"trak", box(b"mdia", b"\0\0\0\x7fhdlr"))),
        make_brand() + box(b"moov", full_box(b"mvhd"), make_track()),
        b"\x1aE\xdf\xa3" + bytes(64),
        b"\x1aE\xdf\xa3" + b"\xff" * 64,
        make_webm()[:60] + bytes(200),
        element(0x1A45DFA3) + element(0x18538067, element(0xEC) * 50_000),
    ],
)
def test_a_hostile_file_is_refused_soon(data: bytes) -> None:
    assert refuse(data).startswith(
        ("This video is damaged", "This is a video of the type Matroska")
    )


SEEDS = [make_mp4(), make_mp4(is_last=True), FRAGMENTED, make_webm(), make_webm(is_live=True)]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(
        st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=6
    ),
    cut=st.integers(0, 2000),
)
def test_a_damaged_file_is_refused_or_read_but_never_crashes(
    seed: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(seed)
    for at, piece in changes:
        data[at % len(data) : at % len(data) + len(piece)] = piece
    data = data[: len(data) - cut % len(data)]
    try:
        facts = look(bytes(data))
    except UnreadablePictureError:
        return
    assert 0 < facts.width_px <= 32_768
    assert 0 <= facts.duration_ms <= 30 * 24 * 3_600_000


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from([b"\0\0\0\x14ftypisom\0\0\2\0mp42", b"\x1aE\xdf\xa3", b"\0\0\0\x08moov"]),
    rest=st.binary(max_size=400),
)
def test_any_bytes_behind_a_signature_never_crash(start: bytes, rest: bytes) -> None:
    with pytest.raises(UnreadablePictureError):
        look(start + rest)


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(0, ""), (300, "0:01"), (42_400, "0:42"), (59_700, "1:00"), (3_900_000, "1:05:00")],
)
def test_lengths_are_written_as_players_do(duration_ms: int, text: str) -> None:
    assert format_length(duration_ms) == text
