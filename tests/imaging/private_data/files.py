"""Make picture files that say something private."""

import functools
import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import pillow_heif
from PIL import Image, ImageFilter, PngImagePlugin, TiffImagePlugin

pillow_heif.register_heif_opener()

# Words that must not be found in a cleaned file, in any spelling that these files use.
SECRETS = (b"Ada Lovelace", b"SN-4711", b"LENS-0815", b"Marylebone", b"Charles Babbage")
POSITION = (51.0, 31.0, 21.5)
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/"
  xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
  xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
  xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
  exif:GPSLatitude="51,31.3583N" exif:GPSLongitude='0,9.5W' aux:SerialNumber="SN-4711"
  photoshop:Credit="The Artist" photoshop:City="Marylebone">
 <dc:creator><rdf:Seq><rdf:li>The Artist</rdf:li></rdf:Seq></dc:creator>
 <Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Charles Babbage</rdf:li></rdf:Bag>
 </Iptc4xmpExt:PersonInImage>
 <mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>
  <rdf:li mwg-rs:Name="Charles Babbage" mwg-rs:Type="Face"/></rdf:Bag></mwg-rs:RegionList>
 </mwg-rs:Regions>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def draw(mode: str = "RGB") -> Image.Image:
    image = Image.effect_noise((160, 96), 60).filter(ImageFilter.BLUR)
    return image.convert(mode)


def make_exif(**more: Any) -> Image.Exif:
    """Exif with a position, an owner, serial numbers, a maker note, and what may stay."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Maker", "Camera", 6
    exif[0x013B], exif[0x8298] = "The Artist", "(c) The Artist"
    details = exif.get_ifd(0x8769)
    details[0x9003] = "2024:05:01 10:00:00"
    details[0xA430], details[0xA431], details[0xA435] = "Ada Lovelace", "SN-4711", "LENS-0815"
    details[0x927C] = more.get("maker_note", b"MAKER\0 Ada Lovelace SN-4711")
    place = exif.get_ifd(0x8825)
    place[0], place[1], place[2] = b"\2\3\0\0", "N", POSITION
    place[3], place[4], place[0x1D] = "W", (0.0, 9.0, 30.0), "2024:05:01"
    return exif


def make_clean_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x013B] = "Maker", "The Artist"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 10:00:00"
    # Version and date alone are no place.
    place = exif.get_ifd(0x8825)
    place[0], place[0x1D] = b"\2\3\0\0", "2024:05:01"
    return exif


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def add_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Put application segments behind the start of a JPEG file."""
    parts = [
        struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
        for marker, content in segments
    ]
    return jpeg[:2] + b"".join(parts) + jpeg[2:]


def make_iptc(fields: Mapping[int, bytes]) -> bytes:
    return b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value
        for number, value in fields.items()
    )


def make_resource(number: int, data: bytes) -> bytes:
    """One of Photoshop's image resources."""
    head = b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(data))
    return head + data + b"\0" * (len(data) % 2)


def make_jpeg(exif: Image.Exif | None = None, xmp: str = XMP) -> bytes:
    data = save(draw(), "JPEG", exif=exif or make_exif())
    packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode()
    iptc = make_iptc({80: b"The Artist", 90: b"Marylebone", 118: b"Ada Lovelace"})
    photoshop = b"Photoshop 3.0\0" + make_resource(1028, iptc) + make_resource(1061, b"0" * 16)
    return add_segments(data, (0xE1, packet), (0xED, photoshop))


def make_png(**texts: Any) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP)
    info.add_text("Author", "The Artist")
    return save(draw(), "PNG", exif=make_exif(), pnginfo=info)


def make_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def add_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Put chunks before the end of a PNG file."""
    return png[:-12] + b"".join(make_chunk(*chunk) for chunk in chunks) + png[-12:]


def make_webp() -> bytes:
    return save(draw(), "WEBP", exif=make_exif(), xmp=XMP.encode())


@functools.cache
def make_heic() -> bytes:
    return save(draw().resize((64, 48)), "HEIF", exif=make_exif().tobytes(), xmp=XMP.encode())


@functools.cache
def make_avif() -> bytes:
    return save(draw().resize((64, 48)), "AVIF", exif=make_exif(), xmp=XMP.encode())


def make_tiff() -> bytes:
    # Pillow writes the values of other IFDs from here.
    exif = make_exif()
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[700] = XMP.encode()
    info.tagtype[700] = 1
    info[0x013B] = "The Artist"
    info[0x8769] = dict(exif.get_ifd(0x8769))
    info[0x8825] = dict(exif.get_ifd(0x8825))
    return save(draw(), "TIFF", tiffinfo=info)


MAKERS = {
    "jpeg": make_jpeg,
    "png": make_png,
    "webp": make_webp,
    "heic": make_heic,
    "avif": make_avif,
    "tiff": make_tiff,
}


# --- Files that are built to keep the hub busy ----------------------------------------------------


def make_nested_exif(depth: int, entry_count: int = 30) -> bytes:
    """Make Exif whose entries all refer to the same Photoshop resources, with Exif in them."""
    data = b"x"
    for _ in range(depth):
        resource = make_resource(1058, data)
        at = 8 + 2 + 12 * entry_count + 4
        entry = struct.pack("<HHII", 0x8649, 1, len(resource), at)
        head = b"II*\0" + struct.pack("<IH", 8, entry_count)
        data = head + entry_count * entry + bytes(4) + resource
    return data


def make_nested_boxes(depth: int = 2_000) -> bytes:
    """Make a HEIC file with boxes in boxes."""
    data = b""
    for kind in [b"trak"] * depth + [b"moov"]:
        data = struct.pack(">I4s", len(data) + 8, kind) + data
    return struct.pack(">I4s4s4x", 16, b"ftyp", b"heic") + data


def make_items_in_parts(*part_counts: int) -> bytes:
    """Make a HEIC file with Exif and other items of many parts, each of which is the whole file."""
    items = b"".join(
        struct.pack(">HHH", number, 0, count) for number, count in enumerate(part_counts, start=1)
    )
    info = struct.pack(">I4s4sHH4s", 20, b"infe", b"\2\0\0\0", 1, 0, b"Exif")
    data = b""
    for kind, content in [
        (b"iinf", struct.pack(">IH", 0, 1) + info),
        (b"iloc", struct.pack(">IHH", 0, 0, len(part_counts)) + items),
    ]:
        data += struct.pack(">I4s", len(content) + 8, kind) + content
    data = struct.pack(">I4s4x", len(data) + 12, b"meta") + data
    return struct.pack(">I4s4s4x", 16, b"ftyp", b"heic") + data


def make_indexes(list_count: int, entry_count: int = 2_000) -> bytes:
    """Make a JPEG file whose index of pictures names the same list over and over."""
    at = 10 + 12 * list_count
    ifd = struct.pack(">H", list_count) + list_count * struct.pack(
        ">HHII", 0xB002, 7, 16 * entry_count, at
    )
    content = b"MPF\0MM\0*\0\0\0\x08" + ifd + entry_count * struct.pack(">IIII", 0, 9, 9, 0)
    return add_segments(save(draw(), "JPEG"), (0xE2, content))


def make_markers(count: int = 100_000) -> bytes:
    """Make a JPEG file whose scan is full of empty segments."""
    return b"\xff\xd8\xff\xda\0\x02" + b"\xff\xc4\0\x02" * count + b"\xff\xd9"


def make_unclosed_comments(count: int = 200_000) -> bytes:
    """Make a PNG file with XMP in which comments begin and never end."""
    return add_chunks(
        save(draw(), "PNG"), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<!--" * count)
    )


def make_many_texts(count: int = 20_000) -> bytes:
    """Make a PNG file with very many private texts."""
    return add_chunks(save(draw(), "PNG"), *[(b"tEXt", b"GPS\0x")] * count)
