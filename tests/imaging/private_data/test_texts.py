"""Places, users and serial numbers are found in free text, and other texts stay."""

import struct
import zlib

import pytest

from imagehub.imaging.private_data import PrivateData
from imagehub.imaging.private_data.texts import classify_text
from tests.imaging.private_data import files
from tests.imaging.private_data.checks import check_cleaned, examine

SPOT = "taken at 51.52253, -0.15830"

WORKFLOW = (
    '{"3": {"class_type": "KSampler", "serialize_widgets": true, "pos": [51.52253, -0.15830], '
    '"inputs": {"latent_image": ["5", 0], "text": "a location by the sea, (rain:1.2)"}}}'
)


@pytest.mark.parametrize(
    "text",
    [
        SPOT,
        "51°31'21.1\"N 0°9'30\"W",
        "N 51,5225° E 13,4"[:11],
        "51.5225 N, 0.1583 W",
        "+51.5225-000.1583+035.000CRSWGS_84/",
        "geo:51.5225,-0.1583",
        "https://maps.google.com/?q=Marylebone",
        "https://www.openstreetmap.org/#map=17/51.5/-0.1",
        "GPS fix ok",
        "lat=51.5;lon=-0.1",
        "Camera: x\nLocation: Marylebone",
        '{"prompt": "x", "latitude": 51.5}',
    ],
)
def test_texts_that_name_a_spot(text: str) -> None:
    assert classify_text(text) == {"place"}


@pytest.mark.parametrize(
    "text",
    [
        "Evening in Marylebone, London",
        "© 2024 The Artist, artist@example.org",
        "Rotated by 45° near the edge, 20 °C",
        "white 0.3127 0.3290; 1.0000, 1.0000, 1.0000",
        "a place in the sun, replaced latents, Steps: 20, Sampler: Euler a, CFG scale: 7.5",
        "https://example.org/home/gallery, old maps. Then more.",
        "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90",
        WORKFLOW,
    ],
)
def test_texts_that_say_nothing_private(text: str) -> None:
    assert classify_text(text) == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (r"saved to C:\Users\Ada\art.png", "person"),
        ('{"path": "C:\\\\Users\\\\Ada"}', "person"),
        ("file:///home/ada/art.png", "person"),
        ("Owner Name: Ada", "person"),
        ("Serial number 4711", "device"),
    ],
)
def test_texts_about_people_and_devices(text: str, kind: str) -> None:
    assert classify_text(text) == {kind}


# --- In files -------------------------------------------------------------------------------------


def test_comments_of_jpeg_files() -> None:
    data = files.save(files.draw(), "JPEG")
    cleaned = check_cleaned(files.add_segments(data, (0xFE, SPOT.encode())), ("place",))
    assert SPOT.encode() not in cleaned
    assert examine(files.add_segments(data, (0xFE, WORKFLOW.encode()))) == PrivateData()


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\0\0\0" + SPOT.encode(),
        b"UNICODE\0" + SPOT.encode("utf-16-le"),
        b"UNICODE\0" + SPOT.encode("utf-16-be"),
        b"UNICODE\0" + SPOT.encode("utf-16"),
        bytes(8) + SPOT.encode(),
        SPOT.encode(),
    ],
)
def test_comments_in_exif(comment: bytes) -> None:
    exif = files.make_clean_exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    cleaned = check_cleaned(files.save(files.draw(), "JPEG", exif=exif), ("place",))
    assert comment[8:] not in cleaned
    assert b"The Artist" in cleaned


def test_captions_in_exif() -> None:
    exif = files.make_clean_exif()
    exif[0x010E] = "Marylebone in the rain"
    assert examine(files.save(files.draw(), "TIFF", exif=exif)) == PrivateData()
    exif[0x010E] = SPOT
    exif[0x9C9C] = SPOT.encode("utf-16-le")
    cleaned = check_cleaned(files.save(files.draw(), "TIFF", exif=exif), ("place",))
    assert b"51.52253" not in cleaned.replace(b"\0", b"")


def test_captions_in_iptc() -> None:
    iptc = files.make_iptc({80: b"The Artist", 120: SPOT.encode(), 105: b"A headline"})
    photoshop = b"Photoshop 3.0\0" + files.make_resource(1028, iptc)
    data = files.add_segments(files.save(files.draw(), "JPEG"), (0xED, photoshop))
    cleaned = check_cleaned(data, ("place",))
    assert SPOT.encode() not in cleaned
    assert b"The Artist" in cleaned and b"A headline" in cleaned


def test_captions_in_xmp() -> None:
    xmp = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:stRef="http://ns.adobe.com/xap/1.0/sType/ResourceRef#" '
        'xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" '
        f'dc:title="A title" stRef:filePath="C:\\Users\\Ada\\a.psd" crs:Curve="{SPOT}">'
        f"<dc:description><rdf:Alt><rdf:li>{SPOT.replace('.', '&#46;')}</rdf:li></rdf:Alt>"
        "</dc:description><dc:rights>The Artist</dc:rights></rdf:Description></rdf:RDF>"
    )
    data = files.save(files.draw(), "WEBP", xmp=xmp.encode())
    cleaned = check_cleaned(data, ("place", "person"))
    assert b"<rdf:li>" + b" " * len(SPOT.replace(".", "&#46;")) + b"</rdf:li>" in cleaned
    assert b"Users" not in cleaned
    assert SPOT.encode() in cleaned, "numbers in other properties are no coordinates"
    assert b"The Artist" in cleaned and b"A title" in cleaned


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "packed iTXt"])
@pytest.mark.parametrize(
    ("keyword", "text", "kinds"),
    [
        ("Comment", SPOT, ("place",)),
        ("Location", "Marylebone", ("place",)),
        ("Contact", "Ada", ("person",)),
        ("Author", "The Artist, C:\\Users\\Ada", ()),
        ("Title", "Evening in Paddington", ()),
        ("workflow", WORKFLOW, ()),
    ],
)
def test_texts_of_png_files(kind: str, keyword: str, text: str, kinds: tuple[str, ...]) -> None:
    packed = zlib.compress(text.encode())
    content = {
        "tEXt": b"\0" + text.encode(),
        "zTXt": b"\0\0" + packed,
        "iTXt": b"\0\0\0en\0\0" + text.encode(),
        "packed iTXt": b"\0\1\0\0\0" + packed,
    }[kind]
    data = files.save(files.draw(), "PNG")
    data = files.add_chunks(data, (kind[-4:].encode(), keyword.encode() + content))
    cleaned = check_cleaned(data, kinds)
    assert (cleaned == data) == (not kinds)


# --- GIF ------------------------------------------------------------------------------------------


def divide(data: bytes) -> bytes:
    """Divide data into blocks of a GIF file."""
    blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(struct.pack("B", len(block)) + block for block in blocks) + b"\0"


def add_extension(kind: bytes, content: bytes) -> bytes:
    gif = files.save(files.draw("L"), "GIF")
    return gif[:-1] + b"\x21" + kind + content + b"\x3b"


def test_comments_and_plain_text_of_gif_files() -> None:
    text = b"x" * 300 + SPOT.encode() + b"x" * 300
    data = add_extension(b"\xfe", divide(text))
    cleaned = check_cleaned(data, ("place",))
    assert cleaned == data[: -len(divide(text)) - 1] + divide(b" " * len(text)) + b"\x3b"
    harmless = add_extension(b"\xfe", divide(b"Evening in Marylebone"))
    assert examine(harmless) == PrivateData()
    check_cleaned(add_extension(b"\1", b"\x0c" + bytes(12) + divide(text)), ("place",))


def test_xmp_of_gif_files_is_blanked_between_the_lengths() -> None:
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    packet = files.XMP.encode()
    data = add_extension(b"\xff", b"\x0bXMP DataXMP" + packet + trailer)
    cleaned = check_cleaned(data)
    assert b"The Artist" in cleaned
    assert cleaned.endswith(trailer + b"\x3b")
    # Some programs divide the packet as a decoder expects it.
    divided = add_extension(b"\xff", b"\x0bXMP DataXMP" + divide(packet))
    cleaned = check_cleaned(divided)
    at = len(cleaned) - 1 - len(divide(packet))
    assert cleaned[at] == divided[at] == 255
    assert cleaned[at + 256] == divided[at + 256]


def test_data_of_unknown_programs_in_gif_files() -> None:
    data = add_extension(b"\xff", b"\x0bABCDEFGH1.0" + divide(b"GPS 51.5 " * 40))
    cleaned = check_cleaned(data, ("other",))
    assert cleaned.endswith(b"\x0bABCDEFGH1.0" + divide(bytes(360)) + b"\x3b")
    loop = b"\x0bNETSCAPE2.0\x03\1\0\0\0"
    assert examine(add_extension(b"\xff", loop)) == PrivateData()
