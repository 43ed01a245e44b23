"""One more work, a film of eight seconds, which ``tools/make_film.py`` has drawn."""

import os
import shutil
from pathlib import Path

TITLE, YEAR = "Tide, eight seconds", 2024
FILE_NAME = "tide.webm"
RECORD = {
    "title": TITLE,
    "year": str(YEAR),
    "medium": "Video without sound, eight seconds, to be shown in a loop",
    "edition": "Edition of 5",
    "text": "The last wave is the first one. Whoever waits for the end waits for the beginning.",
    "tags": "video, sea",
    "alts": {FILE_NAME: "Waves run up a pale beach below a low, round sun"},
}
_FILM = Path(__file__).with_name(FILE_NAME)


def place_film(home: Path) -> None:
    """Put the film into its folder, unless it is there."""
    folder = home / str(YEAR) / TITLE
    target = folder / FILE_NAME
    if target.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{FILE_NAME}.part"
    shutil.copyfile(_FILM, part)
    os.replace(part, target)
