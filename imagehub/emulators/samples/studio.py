"""Draw one work and its shots, and write the files to its folder."""

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from PIL import Image

from imagehub.emulators.samples import shots
from imagehub.emulators.samples.catalogue import Work
from imagehub.emulators.samples.files import FileFacts, write_picture
from imagehub.emulators.samples.paint import (
    Size,
    combine,
    field,
    palette,
    ramp,
    smoothstep,
    surfaced,
    tone,
    within,
)

# Width and height are divided by this in a quick run.
QUICK = 5


def find_missing(work: Work, home: Path) -> list[str]:
    """Return the shots whose files do not exist."""
    return [
        shot for shot in work.shots if not (home / work.folder / work.file_name(shot)).is_file()
    ]


def draw_work(work: Work, home: Path, seed: int, quick: bool) -> None:
    """Draw the missing shots and write their files."""
    missing = find_missing(work, home)
    folder = home / work.folder
    folder.mkdir(parents=True, exist_ok=True)
    art = draw_front(work, seed, quick)
    for shot in missing:
        image = _draw_shot(work, art, shot, _chance(work, seed, shot), quick)
        write_picture(image, folder / work.file_name(shot), _facts(work, shot, seed))


def draw_front(work: Work, seed: int, quick: bool) -> Image.Image:
    """Draw the whole work, upright, in sRGB."""
    rng = _chance(work, seed, "front")
    size = _scaled(work.size, quick)
    drawn = work.art(within(size, work.draw_px), rng, palette(work.colours), **work.options)
    if drawn.size != size:
        drawn = drawn.resize(size, Image.Resampling.BICUBIC)
    return surfaced(drawn, rng, work.surface)


def _chance(work: Work, seed: int, shot: str) -> Random:
    return Random(f"{seed}/{work.title}/{work.edition}/{shot}")  # noqa: S311 (pictures, not secrets)


def _scaled(size: Size, quick: bool) -> Size:
    return (size[0] // QUICK, size[1] // QUICK) if quick else size


def _draw_shot(work: Work, art: Image.Image, shot: str, rng: Random, quick: bool) -> Image.Image:
    if shot == "detail":
        return shots.detail(art, rng)
    if shot == "angle":
        return shots.angle(art, rng, _scaled((2000, 1500), quick))
    if shot == "room":
        tall = work.size[1] > 1.6 * work.size[0]
        size = (1500, 1900) if tall else (2100, 1500)
        framed = work.surface in ("paper", "film") or rng.random() < 0.4
        return shots.in_room(art, rng, _scaled(size, quick), framed)
    if shot == "back":
        label = (f"No. {rng.randint(11, 98)}", f"{work.medium}, {work.year}", work.size_cm)
        return shots.back(art, rng, label, 1700 // QUICK if quick else 1700)
    if work.has_torn_edge:
        art = art.copy()
        art.putalpha(_torn_edge(art.size, rng))
    return art


def _torn_edge(size: Size, rng: Random) -> Image.Image:
    """Return the mask of a sheet with a deckle edge."""
    width, height = size
    margin = min(size) * 0.012
    reach = combine(
        lambda p: p["min"](p["x"], p["y"]) + (p["n"] - 0.5) * 1.3,
        x=ramp(size, lambda t: min(4.0, min(t, 1 - t) * width / margin), "x"),
        y=ramp(size, lambda t: min(4.0, min(t, 1 - t) * height / margin)),
        n=field(size, rng, 40, 4, 0.6),
    )
    capped = combine(lambda p: p["max"](p["min"](p["r"] / 4, 1.0), 0.0), r=reach)
    return tone(capped, smoothstep(0.22, 0.28))


def _facts(work: Work, shot: str, seed: int) -> FileFacts:
    rng = _chance(work, seed, shot + " facts")
    minutes = rng.randrange(40, 330 * 24 * 60)
    taken_at = datetime(work.year, 1, 10, 8) + timedelta(minutes=minutes, seconds=rng.randrange(60))
    return FileFacts(
        taken_at=taken_at if work.has_camera else None,
        description=f"{work.medium}, {work.size_cm}, {work.year}",
        title=work.title,
        orientation=work.turned.get(shot, 1),
        gps=work.gps if shot == "front" else None,
        is_wide_gamut=work.is_wide_gamut and shot == "front",
    )
