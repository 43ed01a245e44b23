"""What files say about their pictures: formats, encodings, languages, and which source counts."""

import hashlib
import io
import time
from typing import Any

import pillow_heif
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imagehub.imaging.private_data import FileSource, Packet, look
from imagehub.imaging.words import FoundWords, parse_words, read_words, write_words

_BEGIN = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:ps="http://ns.adobe.com/photoshop/1.0/"'
    ' xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"'
    ' xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" rdf:about=""'
)
_END = "</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
TITLE = (
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Harbour</rdf:li>'
    '<rdf:li xml:lang="de-DE">Hafen</rdf:li></rdf:Alt></dc:title>'
)
FULL = (
    TITLE
    + "<dc:subject><rdf:Bag><rdf:li>sea</rdf:li><rdf:li>Sea</rdf:li><rdf:li>Möwe, Boot</rdf:li>"
    "</rdf:Bag></dc:subject><dc:creator><rdf:Seq><rdf:li>Ada</rdf:li><rdf:li>Ben</rdf:li></rdf:Seq>"
    "</dc:creator><Iptc4xmpCore:AltTextAccessibility><rdf:Alt>"
    "<rdf:li xml:lang='x-default'>Two boats</rdf:li></rdf:Alt></Iptc4xmpCore:AltTextAccessibility>"
)


def make_xmp(properties: str, attributes: str = "") -> bytes:
    return f"{_BEGIN}{attributes}>{properties}{_END}".encode()


def make_iptc(*fields: tuple[int, int, bytes]) -> bytes:
    return b"".join(
        bytes((0x1C, record, number)) + len(value).to_bytes(2) + value
        for record, number, value in fields
    )


def read(*packets: tuple[str, bytes], language: str = "") -> FoundWords:
    return read_words([Packet(kind, data) for kind, data in packets], language)


def make_file(kind: str, xmp: bytes) -> bytes:
    picture, target = Image.new("RGB", (64, 48)), io.BytesIO()
    options: dict[str, Any] = {"xmp": xmp}
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
        options = {"pnginfo": info}
    elif kind == "TIFF":
        options = {"tiffinfo": {700: xmp}}
    elif kind == "HEIF":
        pillow_heif.register_heif_opener()
    picture.save(target, kind, **options)
    return target.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_xmp_is_read_from_files_of_each_kind(kind: str) -> None:
    rights = ' xmpRights:WebStatement="https://a.b/c" ps:Headline="Not the title"'
    data = make_file(kind, make_xmp(FULL, rights))
    packets: list[Packet] = []
    look(FileSource(io.BytesIO(data)), packets=packets)
    found = read_words(packets)
    assert found == FoundWords(
        title="Harbour",
        alt="Two boats",
        keywords=("sea", "Möwe", "Boot"),
        creator="Ada, Ben",
        license_url="https://a.b/c",
    )
    assert parse_words(write_words(found)) == found
    assert read_words(packets, "de").title == "Hafen"
    assert read_words(packets, "fr").title == "Harbour"


def test_a_broken_file_still_says_what_was_found() -> None:
    data = make_file("JPEG", make_xmp(TITLE))
    packets: list[Packet] = []
    look(FileSource(io.BytesIO(data[: data.index(b"xpacket end") + 30])), packets=packets)
    assert read_words(packets).title == "Harbour"


@pytest.mark.parametrize(
    ("marker", "value", "expected"),
    [
        (b"\x1b%G", "Möwe".encode(), "Möwe"),
        (None, "Möwe".encode(), "Möwe"),
        (None, "Möwe".encode("latin-1"), "Möwe"),
        # Said to be UTF-8, and is not.
        (b"\x1b%G", "Möwe am Überweg".encode("latin-1"), "Möwe am Überweg"),
        # A field of 64 bytes that ends within a letter.
        (b"\x1b%G", b"x" * 63 + "ö".encode()[:1], "x" * 63),
        (None, "“Quoted” – €".encode("cp1252"), "“Quoted” – €"),
    ],
)
def test_iptc_is_read_in_the_encodings_that_programs_write(
    marker: bytes | None, value: bytes, expected: str
) -> None:
    fields = [(2, 5, value), (2, 25, b"one"), (2, 25, value), (2, 80, b"Ada")]
    data = make_iptc(*([(1, 90, marker)] if marker else []), *fields)
    found = read(("iptc", data))
    assert found.title == expected
    assert found.keywords == ("one", expected)[: 2 if len(expected) <= 60 else 1]
    assert found.creator == "Ada"


def test_iptc_comes_before_xmp_only_if_it_was_changed_since() -> None:
    xmp, iptc = make_xmp(TITLE), make_iptc((2, 5, b"Port"), (2, 120, b"Only in IPTC"))
    digest = hashlib.md5(iptc, usedforsecurity=False).digest()
    both = [("xmp", xmp), ("iptc", iptc)]
    assert read(*both).title == "Harbour"
    assert read(*both).caption == "Only in IPTC"
    assert read(*both, ("iptc-digest", digest)).title == "Harbour"
    assert read(*both, ("iptc-digest", b"\1" * 16)).title == "Port"
    assert read(*both, ("iptc-digest", bytes(16))).title == "Harbour"


def test_exif_comes_first_unless_it_is_what_a_camera_wrote_or_has_lost_letters() -> None:
    described = (
        "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>Zwei Möwen</rdf:li></rdf:Alt>"
    )
    xmp = ("xmp", make_xmp(f"{described}</dc:description>"))
    assert read(xmp, ("exif-010e", b"Two gulls\0")).caption == "Two gulls"
    for filler in (
        b"OLYMPUS DIGITAL CAMERA         \0",
        b"SONY DSC",
        b"DCIM\\100",
        b"   ",
        b"Zwei M?wen",
    ):
        expected = "DCIM\\100" if filler == b"DCIM\\100" else "Zwei Möwen"
        assert read(xmp, ("exif-010e", filler)).caption == expected, filler
    assert read(("exif-8298", "© Ada\0© Ben\0".encode())).copyright_notice == "© Ada, © Ben"
    assert read(("exif-013b", b"Ada; Ben\0")).creator == "Ada, Ben"
    windows = read(
        ("exif-9c9b", "Hafen\0".encode("utf-16-le")), ("exif-9c9e", "a;b\0".encode("utf-16-le"))
    )
    assert (windows.title, windows.keywords) == ("Hafen", ("a", "b"))


def test_simple_properties_and_resources_are_read_too() -> None:
    resource = '<xmpRights:WebStatement rdf:resource="https://a.b/"/><dc:title>Plain</dc:title>'
    found = read(("xmp", make_xmp(resource)))
    assert (found.title, found.license_url) == ("Plain", "https://a.b/")
    assert read(("xmp", make_xmp("", ' ps:Headline="Only a headline"'))).title == "Only a headline"
    assert read(("xmp", make_xmp("", ' xmpRights:WebStatement="javascript:x"'))).license_url == ""


def test_values_are_tidy_and_limited() -> None:
    long = "x" * 50_000
    data = f"<dc:title>  A \n\t b\u202e&#x7;  </dc:title><dc:description>{long}</dc:description>"
    assert read(("xmp", make_xmp(data.replace("&#x7;", "")))).title == "A b\u202e"
    assert len(read(("xmp", make_xmp(data.replace("&#x7;", "")))).caption) == 10_000
    keywords = "".join(f"<rdf:li>word {number}</rdf:li>" for number in range(5000))
    found = read(("xmp", make_xmp(f"<dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>")))
    assert len(found.keywords) == 50


@pytest.mark.parametrize(
    "attack",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "'
        + b"c" * 1000
        + b'">]><a>'
        + b"&b;" * 9000,
        b"<a>" * 200_000,
        b'<a xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>' + b"<b/>" * 200_000,
        b"\xff\xfe<\0",
        b"<a " + b" ".join(b'b%d="c"' % number for number in range(80_000)) + b">",
    ],
)
def test_hostile_packets_cost_little_and_say_nothing(attack: bytes) -> None:
    started = time.process_time()
    assert read(("xmp", attack[:1_000_000])) == FoundWords()
    assert time.process_time() - started < 2


def test_packets_that_are_too_large_or_too_many_are_not_kept() -> None:
    packets: list[Packet] = []
    data = make_file("PNG", make_xmp(TITLE) + b" " * 1_000_001)
    look(FileSource(io.BytesIO(data)), packets=packets)
    assert [packet for packet in packets if packet.kind == "xmp"] == []
