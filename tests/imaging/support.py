"""Pictures to render, and ways to look at what was made of them."""

import io
import struct
import zlib

from PIL import Image

from imagehub.imaging.render import EncodedPicture, OpenedPicture, RenderedPicture, RenderOptions

RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 160, 60), (50, 60, 190), (220, 200, 60)
QUARTERS = (RED, GREEN, BLUE, YELLOW)


def make_scene(size: tuple[int, int] = (600, 400), mode: str = "RGB") -> Image.Image:
    """Four coloured quarters: red, green above, blue, yellow below."""
    width, height = size
    scene = Image.new("RGB", size, RED)
    scene.paste(GREEN, (width // 2, 0, width, height))
    scene.paste(BLUE, (0, height // 2, width // 2, height))
    scene.paste(YELLOW, (width // 2, height // 2, width, height))
    return scene.convert(mode)


def encode(image: Image.Image, format: str, **how: object) -> io.BytesIO:
    target = io.BytesIO()
    image.save(target, format, **how)
    target.seek(0)
    return target


def render_bytes(file: io.BytesIO, options: RenderOptions | None = None) -> RenderedPicture:
    return OpenedPicture(file, options).render()


def show(picture: EncodedPicture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.data))
    image.load()
    return image


def read_quarters(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters, left to right, top to bottom."""
    spots = [(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    rgb = image.convert("RGB")
    return [rgb.getpixel((int(image.width * x), int(image.height * y))) for x, y in spots]


def differ(a: object, b: object) -> int:
    """The largest difference between two lists of colours."""
    return max(abs(x - y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))


def make_png_chunk(name: bytes, body: bytes) -> bytes:
    part = name + body
    return struct.pack(">I", len(body)) + part + struct.pack(">I", zlib.crc32(part))


def make_png(image: Image.Image, *chunks: tuple[bytes, bytes]) -> io.BytesIO:
    """A PNG file with some more chunks behind the header."""
    data = encode(image, "PNG").getvalue()
    more = b"".join(make_png_chunk(name, body) for name, body in chunks)
    return io.BytesIO(data[:33] + more + data[33:])


def make_profile(
    primaries: tuple[tuple[float, float], ...], gamma: float, label: str = "A test monitor"
) -> bytes:
    """A matrix profile of a monitor with these x, y of red, green and blue and white at D65.

    Written by hand (ICC.1:2001-04, "Three-component matrix-based input profiles"), as no library
    here makes one.
    """
    white = (0.95047, 1.0, 1.08883)

    def solve(m: list[list[float]], v: list[float]) -> list[float]:
        def det(a: list[list[float]]) -> float:
            return sum(
                a[0][i]
                * (a[1][(i + 1) % 3] * a[2][(i + 2) % 3] - a[1][(i + 2) % 3] * a[2][(i + 1) % 3])
                for i in range(3)
            )

        whole = det(m)
        return [
            det([[v[r] if c == i else m[r][c] for c in range(3)] for r in range(3)]) / whole
            for i in range(3)
        ]

    xyz = [[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]
    columns = [[xyz[c][r] for c in range(3)] for r in range(3)]
    scales = solve(columns, list(white))
    # Bradford's adaptation from D65 to D50, the white of every profile.
    bradford = (
        (1.0478112, 0.0228866, -0.0501270),
        (0.0295424, 0.9904844, -0.0170491),
        (-0.0092345, 0.0150436, 0.7521316),
    )

    def s15(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz_tag(values: list[float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(s15(v) for v in values)

    tags: dict[bytes, bytes] = {}
    for name, color, scale in zip((b"rXYZ", b"gXYZ", b"bXYZ"), xyz, scales, strict=True):
        tags[name] = xyz_tag([sum(row[i] * color[i] * scale for i in range(3)) for row in bradford])
    tags[b"wtpt"] = xyz_tag([0.9642, 1.0, 0.8249])
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags |= {name: curve for name in (b"rTRC", b"gTRC", b"bTRC")}
    text = label.encode() + b"\0"
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 79
    tags[b"cprt"] = b"text\0\0\0\0none\0"
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += value
    header = struct.pack(">I4xI", offset + len(body), 0x02400000) + b"mntrRGB XYZ "
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + s15(0.9642) + s15(1.0) + s15(0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


DISPLAY_P3 = make_profile(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), 2.2)
ADOBE_RGB = make_profile(((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)), 2.2)
