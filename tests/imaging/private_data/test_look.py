"""What is private in original files is found, and blanked without touching anything else."""

import hashlib
import io
import random
import struct
import zlib
from xml.etree import ElementTree

import pytest
from PIL import Image

from imagehub.imaging.private_data import FileSource, PrivateData, TooMuchToReadError, look
from imagehub.imaging.private_data.source import SPARE_BYTES, Findings, Window
from imagehub.imaging.private_data.xmp import look_at_xmp
from imagehub.imaging.sources import CannotCleanError, FetchedSource
from tests.imaging.private_data import files
from tests.imaging.private_data.checks import ALL, check_cleaned, clean, examine, read_pixels
from tests.support import find_photos


@pytest.mark.parametrize("kind", files.MAKERS)
def test_a_cleaned_file_has_the_same_pixels_and_nothing_private(kind: str) -> None:
    data = files.MAKERS[kind]()
    cleaned = check_cleaned(data)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(cleaned)) as after:
        assert before.getexif().get_ifd(0x8825)[2] == files.POSITION
        assert after.getexif().get_ifd(0x8825) == {}
        exif = after.getexif()
        assert exif[0x013B] == "The Artist", "credits stay"
        assert exif.get_ifd(0x8769)[0x9003] == "2024:05:01 10:00:00"
        assert exif.get_ifd(0x8769).get(0xA431, "").strip("\0") == ""
        assert exif.get(0x0112, 1) == before.getexif().get(0x0112, 1)


@pytest.mark.parametrize("kind", files.MAKERS)
def test_the_rest_of_the_xmp_stays_well_formed(kind: str) -> None:
    cleaned = check_cleaned(files.MAKERS[kind]())
    start, end = cleaned.index(b"<x:xmpmeta"), cleaned.index(b"</x:xmpmeta>")
    packet = cleaned[start : end + len(b"</x:xmpmeta>")].decode()
    words = " ".join(ElementTree.fromstring(packet).itertext())
    assert words.split() == ["The", "Artist"]
    assert 'photoshop:Credit="The Artist"' in packet


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_file_without_private_data_is_left_alone(kind: str) -> None:
    exif = files.make_clean_exif()
    assert examine(files.save(files.draw(), kind, exif=exif)) == PrivateData()
    assert examine(files.save(files.draw(), kind)) == PrivateData()


def test_bitmaps_are_files_too() -> None:
    assert examine(files.save(files.draw(), "BMP")) == PrivateData()


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 ...", b"FUJIFILMCCD-RAW 0201", b"8BPS\0\1"])
def test_unknown_files_cannot_be_cleaned(data: bytes) -> None:
    assert examine(data) == PrivateData(("other",), is_removable=False)


# --- Exif -----------------------------------------------------------------------------------------


def test_the_maker_notes_of_apple_stay() -> None:
    note = b"Apple iOS\0\0\1MM\0\0"
    data = files.make_jpeg(files.make_exif(maker_note=note))
    with Image.open(io.BytesIO(check_cleaned(data))) as image:
        assert image.getexif().get_ifd(0x8769)[0x927C] == note


def add_thumbnail(jpeg: bytes, thumbnail: bytes) -> bytes:
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">HI", 0, 14)
    exif += struct.pack(">HHHIIHHIII", 2, 0x0201, 4, 1, 44, 0x0202, 4, 1, len(thumbnail), 0)
    exif += bytes(44 - len(exif)) + thumbnail
    return files.add_segments(jpeg, (0xE1, b"Exif\0\0" + exif))


def test_a_thumbnail_is_looked_at_too() -> None:
    jpeg = files.save(files.draw(), "JPEG")
    check_cleaned(add_thumbnail(jpeg, files.make_jpeg()))
    cleaned = check_cleaned(add_thumbnail(jpeg, b"\xff\xd8 SN-4711, broken"), ("other",))
    assert cleaned.endswith(jpeg[2:])


@pytest.mark.filterwarnings("ignore:Tag data larger than file")
def test_values_that_point_out_of_the_exif_block_spoil_no_pixels() -> None:
    exif = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0xA431, 2, 5_000, 100, 0)
    exif += b"\0" * 80
    data = files.add_segments(files.save(files.draw(), "JPEG"), (0xE1, b"Exif\0\0" + exif))
    found = examine(data)
    assert read_pixels(clean(data, found)) == read_pixels(data)


def test_ifds_that_point_to_each_other_end() -> None:
    exif = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
    data = files.add_segments(files.save(files.draw(), "JPEG"), (0xE1, b"Exif\0\0" + exif))
    assert examine(data) == PrivateData()


def test_raw_photos_with_maker_notes_cannot_be_cleaned() -> None:
    tiff = bytearray(files.make_tiff())
    at = tiff.index(struct.pack("<HHI", 0x0106, 3, 1))
    struct.pack_into("<H", tiff, at + 8, 32_803)
    assert examine(bytes(tiff)) == PrivateData(ALL, is_removable=False)


# --- JPEG -----------------------------------------------------------------------------------------


def test_what_follows_the_end_of_a_jpeg_is_blanked() -> None:
    data = files.save(files.draw(), "JPEG")
    video = b"\0\0\0\x18ftypmp42 \xa9xyz+51.5-000.1/ Ada Lovelace"
    cleaned = check_cleaned(data + video, ("other",))
    assert cleaned == data + bytes(len(cleaned) - len(data))
    assert examine(data + bytes(100)) == PrivateData(), "padding says nothing"


def test_further_pictures_are_looked_at_and_stay() -> None:
    first, second = files.save(files.draw(), "JPEG"), files.make_jpeg()
    cleaned = check_cleaned(first + second)
    assert read_pixels(cleaned[len(first) :]) == read_pixels(second)


def test_multi_picture_files_are_looked_at_by_their_index() -> None:
    target = io.BytesIO()
    files.draw().save(
        target, "MPO", save_all=True, append_images=[files.draw()], exif=files.make_exif()
    )
    data = target.getvalue()
    cleaned = check_cleaned(data)
    with Image.open(io.BytesIO(cleaned)) as image:
        assert getattr(image, "n_frames", 1) == 2
    # The index is enough: the pixels are not read.
    fetched = FetchedSource(len(data), lambda at, size: data[at : at + size], len(data))
    assert look(fetched, is_local=False).kinds == ALL


def test_extended_xmp_keeps_its_checksum() -> None:
    extended = files.XMP.encode() + b" " * 70_000
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()
    start = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">I", len(extended))
    pieces = [
        (0xE1, start + struct.pack(">I", at) + extended[at : at + 60_000])
        for at in range(0, len(extended), 60_000)
    ]
    main = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><a xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
        f'xmpNote:HasExtendedXMP="{guid.decode()}"/></x:xmpmeta>'
    ).encode()
    data = files.add_segments(
        files.save(files.draw(), "JPEG"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + main),
        *reversed(pieces),
    )
    cleaned = check_cleaned(data)
    at = cleaned.index(b'HasExtendedXMP="') + 16
    new = cleaned[at : at + 32]
    parts = {}
    for part in cleaned.split(b"http://ns.adobe.com/xmp/extension/\0")[1:]:
        assert part[:32] == new
        (offset,) = struct.unpack(">I", part[36:40])
        parts[offset] = part[40 : 40 + min(60_000, len(extended) - offset)]
    whole = b"".join(parts[offset] for offset in sorted(parts))
    assert hashlib.md5(whole, usedforsecurity=False).hexdigest().upper().encode() == new


def test_photoshop_notices_no_foreign_change() -> None:
    cleaned = check_cleaned(files.make_jpeg())
    at = cleaned.index(b"8BIM\x04\x04")
    (size,) = struct.unpack(">I", cleaned[at + 8 : at + 12])
    iptc = cleaned[at + 12 : at + 12 + size]
    assert b"The Artist" in iptc
    at = cleaned.index(b"8BIM\x04\x25")
    assert cleaned[at + 12 : at + 28] == hashlib.md5(iptc, usedforsecurity=False).digest()


def test_each_of_several_photoshop_resources_is_cleaned() -> None:
    data = files.save(files.draw(), "JPEG")
    private = files.make_iptc({90: b"Marylebone"})
    credit = files.make_iptc({80: b"The Artist"})
    segments = [
        (0xED, b"Photoshop 3.0\0" + files.make_resource(1028, iptc)) for iptc in (private, credit)
    ]
    check_cleaned(files.add_segments(data, *segments), ("place",))


def test_telemetry_in_segments_of_other_programs_is_blanked() -> None:
    data = files.save(files.draw(), "JPEG")
    check_cleaned(files.add_segments(data, (0xE6, b"GoPro\0GPS5 Marylebone")), ("device",))


def test_a_jpeg_in_the_cloud_is_not_read_as_a_whole() -> None:
    jpeg = files.make_jpeg()
    at = jpeg.index(b"\xff\xda")
    data = jpeg[: at + 14] + random.Random(1).randbytes(3_000_000).replace(b"\xff", b"\0")
    data += b"\xff\xd9"
    asked = []

    def fetch(offset: int, length: int) -> bytes:
        asked.append(length)
        return data[offset : offset + length]

    assert look(FetchedSource(len(data), fetch, 1_000_000), is_local=False).kinds == ALL
    assert sum(asked) <= 2 * 65_536
    with pytest.raises(TooMuchToReadError):
        look(FetchedSource(len(data), fetch, 1_000_000))


# --- PNG ------------------------------------------------------------------------------------------


def check_checksums(data: bytes) -> None:
    at = 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        body, checksum = data[at + 4 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        assert struct.pack(">I", zlib.crc32(body)) == checksum
        at += 12 + size


def test_the_checksums_of_a_cleaned_png_are_right() -> None:
    check_checksums(check_cleaned(files.make_png()))


def make_raw_profile(kind: str, data: bytes) -> bytes:
    return f"\n{kind}\n{len(data):8}\n{data.hex()}\n".encode()


@pytest.mark.parametrize(
    "chunk",
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(files.XMP.encode())),
        (
            b"zTXt",
            b"Raw profile type exif\0\0"
            + zlib.compress(make_raw_profile("exif", files.make_exif().tobytes())),
        ),
        (b"tEXt", b"Raw profile type xmp\0" + make_raw_profile("xmp", files.XMP.encode())),
        (b"tEXt", b"exif:GPSLatitude\00051/1"),
    ],
)
def test_texts_that_cannot_be_blanked_within_become_chunks_to_ignore(
    chunk: tuple[bytes, bytes],
) -> None:
    data = files.add_chunks(files.save(files.draw(), "PNG"), chunk)
    found = examine(data)
    assert "place" in found.kinds
    cleaned = clean(data, found)
    check_checksums(cleaned)
    assert examine(cleaned) == PrivateData()
    assert read_pixels(cleaned) == read_pixels(data)
    with Image.open(io.BytesIO(cleaned)) as image:
        image.load()
        assert not image.info.keys() & {"exif", "xmp", "XML:com.adobe.xmp", "exif:GPSLatitude"}


# --- HEIC -----------------------------------------------------------------------------------------


def test_the_video_of_a_motion_photo_is_dropped() -> None:
    data = files.save(files.draw().resize((64, 48)), "HEIF")
    box = struct.pack(">I", 8 + 40) + b"mpvd" + b"Marylebone".ljust(40)
    cleaned = check_cleaned(data + box, ("other",))
    assert cleaned.endswith(b"free" + bytes(40))


def test_a_video_without_its_headers_cannot_be_cleaned() -> None:
    data = struct.pack(">I", 20) + b"ftypisom\0\0\0\0mp42" + b"\0\0\0\x08mdat"
    assert examine(data) == PrivateData(("other",), is_removable=False)


def make_box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def check_boxes(data: bytes, *words: bytes) -> None:
    """Clean a file that Pillow cannot read."""
    found = examine(data)
    assert found.is_removable
    assert {"place", "person"} <= set(found.kinds)
    cleaned = clean(data, found)
    assert len(cleaned) == len(data)
    assert examine(cleaned) == PrivateData()
    assert not [secret for secret in files.SECRETS if secret in cleaned]
    assert not [word for word in words if word not in cleaned]


def test_jpeg_xl_and_jpeg_2000_are_cleaned() -> None:
    exif, xmp = files.make_exif().tobytes()[6:], files.XMP.encode()
    xmp_uuid = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
    check_boxes(
        make_box(b"JXL ", b"\r\n\x87\n")
        + make_box(b"ftyp", b"jxl \0\0\0\0jxl ")
        + make_box(b"Exif", bytes(4) + exif)
        + make_box(b"xml ", xmp)
        + make_box(b"brob", b"Exif Marylebone")
        + make_box(b"jxlc", b"\xff\x0athe pixels"),
        b"the pixels",
        b"The Artist",
    )
    check_boxes(
        make_box(b"jP  ", b"\r\n\x87\n")
        + make_box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + make_box(b"uuid", b"JpgTiffExif->JP2" + exif)
        + make_box(b"uuid", xmp_uuid + xmp)
        + make_box(b"jp2c", b"the pixels"),
        b"the pixels",
        b"The Artist",
    )
    assert examine(b"\xff\x0a pixels alone") == PrivateData()


def test_photoshop_documents_are_cleaned_unless_files_are_embedded() -> None:
    resources = files.make_resource(
        1028, files.make_iptc({90: b"Marylebone", 118: b"Ada Lovelace"})
    )
    resources += files.make_resource(1060, files.XMP.encode())
    head = b"8BPS\0\1" + bytes(20) + bytes(4) + struct.pack(">I", len(resources)) + resources
    check_boxes(head + b"layers and pixels", b"layers and pixels", b"The Artist")
    assert not examine(head + b"8BIMlnkD a smart object").is_removable


# --- Broken files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", files.MAKERS)
def test_broken_files_end_in_an_answer(kind: str) -> None:
    data, chance = files.MAKERS[kind](), random.Random(kind)
    for _ in range(40):
        broken = bytearray(data)
        for _ in range(chance.randrange(1, 8)):
            broken[chance.randrange(len(broken) // 2)] = chance.randrange(256)
        del broken[chance.randrange(len(broken)) if chance.random() < 0.3 else len(broken) :]
        found = examine(bytes(broken))
        assert all(0 <= one.offset < one.end <= len(broken) for one in found.blanks)
        assert len(clean(bytes(broken), found)) == len(broken)


class CountingSource(FileSource):
    """A file that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.read_count = self.read_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        data = super().read(offset, length)
        self.read_count += 1
        self.read_bytes += len(data)
        return data


@pytest.mark.parametrize(
    "data",
    [
        files.make_nested_exif(3),
        files.make_nested_boxes(),
        files.make_markers(),
        files.make_many_texts(),
        files.make_items_in_parts(1_001),
        files.make_items_in_parts(1, 65_535, 65_535, 65_535, 65_535),
        files.make_indexes(2),
    ],
    ids=["nested Exif", "nested boxes", "markers", "texts", "Exif in parts", "parts", "indexes"],
)
def test_files_that_are_built_to_keep_the_hub_busy_are_given_up(data: bytes) -> None:
    source = CountingSource(data)
    assert not look(source).is_removable
    assert source.read_bytes <= 4 * len(data) + SPARE_BYTES
    assert source.read_count <= 200_000


def test_files_with_few_parts_and_a_single_list_of_pictures_are_read() -> None:
    assert examine(files.make_items_in_parts(1, 1000)).is_removable
    assert examine(files.make_indexes(1)).is_removable


def test_xmp_of_very_many_tags_is_given_up() -> None:
    packet = b"<a/>" * 1000
    window = Window(FileSource(io.BytesIO(packet)), Findings(100_000), [(0, len(packet))])
    with pytest.raises(CannotCleanError):
        look_at_xmp(window)


def test_comments_that_never_end_are_not_searched_for_their_end_again_and_again() -> None:
    assert examine(files.make_unclosed_comments()) == PrivateData()


def test_real_photos_are_cleaned() -> None:
    folder = find_photos()
    if folder is None:
        pytest.skip("there are no photos on this machine")
    found = {}
    for path in sorted((folder / "camera").iterdir()):
        data = path.read_bytes()
        found[path.name] = examine(data)
        cleaned = clean(data, found[path.name])
        assert examine(cleaned) == PrivateData()
        with Image.open(io.BytesIO(cleaned)) as image:
            assert image.getexif().get_ifd(0x8825) == {}
    assert {name for name, one in found.items() if "place" in one.kinds} >= {"DSCN0010.jpg"}
