"""Draw the film of the demo, and write it as WebM with VP9.

    python -m venv /tmp/film-maker && /tmp/film-maker/bin/pip install av pillow numpy
    /tmp/film-maker/bin/python tools/make_film.py imagehub/emulators/samples/tide.webm

The hub itself needs none of these packages. The file also holds a still as JPEG, in an element that
players skip: the OneDrive emulator shows the largest JPEG of a file as its thumbnail.
"""

import io
import math
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

SIZE = (960, 540)
RATE = 25
SECONDS = 8
STILL_AT = 2.4
# Sky to shore, as in the drawn samples.
SKY, GLOW, SEA, DEEP, FOAM, SAND = (
    np.array([int(code[at : at + 2], 16) for at in (0, 2, 4)], float)
    for code in ("dfe3dc", "f0c9a0", "6f97a0", "23495a", "f4f1ea", "cdb592")
)
_VOID, _SEGMENT = b"\xec", b"\x18\x53\x80\x67"


def mix(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    return one + (other - one) * np.clip(share, 0, 1)[..., None]


def draw(moment: float) -> np.ndarray:
    """Draw the sea at a moment; after ``SECONDS`` it looks as at the beginning."""
    turn = 2 * math.pi * moment / SECONDS
    width, height = SIZE
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    horizon = 0.42
    picture = mix(SKY, GLOW, (down / horizon) ** 3)
    sun = np.hypot((across - 0.64) * width / height, down - 0.31 - 0.004 * math.sin(turn))
    picture = mix(picture, np.array([255.0, 244, 224]), (0.052 - sun) * 160)
    depth = (down - horizon) / (1 - horizon)
    water = mix(DEEP, SEA, np.maximum(depth, 0) ** 0.8)
    for count, speed, strength in ((7, 1, 0.5), (13, -2, 0.3), (23, 3, 0.22)):
        wave = np.sin(
            2 * math.pi * count * np.maximum(depth, 0.001) ** 0.45
            + 1.7 * np.sin(2 * math.pi * across * (1 + count / 9) + speed * turn)
            - speed * turn
        )
        water = mix(water, FOAM, np.maximum(wave - 0.72, 0) * strength * (0.3 + depth))
    path = np.exp(-(((across - 0.64) / (0.03 + 0.12 * depth)) ** 2))
    glitter = np.sin(90 * np.maximum(depth, 0.001) ** 0.5 + 9 * across + 2 * turn) > 0.4
    water = mix(water, GLOW, path * glitter * 0.5 * (1 - depth))
    edge = 0.8 + 0.05 * math.sin(turn) + 0.02 * np.sin(2 * math.pi * across * 1.5 + turn)
    edge += 0.008 * np.sin(2 * math.pi * across * 5 - turn)
    picture = np.where((down >= horizon)[..., None], water, picture)
    wet = mix(SAND * 0.82, SAND, (down - edge) * 6)
    picture = np.where((down > edge)[..., None], wet, picture)
    foam = 1 - np.abs(down - edge) / (0.012 + 0.004 * np.sin(14 * math.pi * across))
    return mix(picture, FOAM, foam * 0.9).astype(np.uint8)


def encode() -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="webm") as container:
        stream = container.add_stream("libvpx-vp9", rate=RATE)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, RATE)
        stream.options = {"crf": "40", "b": "0", "g": "50", "row-mt": "1", "cpu-used": "2"}
        for number in range(RATE * SECONDS):
            frame = av.VideoFrame.from_ndarray(draw(number / RATE), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def add_still(film: bytes) -> bytes:
    """Add a still behind the content. Source: RFC 8794, section 11.3.2 (Void)."""
    still = io.BytesIO()
    Image.fromarray(draw(STILL_AT)).save(still, "JPEG", quality=80)
    data = still.getvalue()
    at = film.index(_SEGMENT) + 4
    assert film[at] == 1, "the size of the segment has 8 bytes"
    size = int.from_bytes(film[at : at + 8]) & (1 << 56) - 1
    assert at + 8 + size == len(film)
    void = _VOID + (1 << 56 | len(data)).to_bytes(8) + data
    whole = (1 << 56 | size + len(void)).to_bytes(8)
    return film[:at] + whole + film[at + 8 :] + void


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(add_still(encode()))
