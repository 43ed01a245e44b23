"""Lay the pages of a print file out with Typst, in a process of its own with limits."""

import json
import logging
import re
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from imagehub.errors import PictureTooLargeError, ServiceBusyError, ServiceRefusedError
from imagehub.imaging.pool import Child
from imagehub.messages import mark

log = logging.getLogger(__name__)

DESIGNS = Path(__file__).parent / "designs"
MEMORY_LIMIT_BYTES = 1_000_000_000
TIMEOUT_SECONDS = 300.0
# No font can have a character that Unicode has not assigned.
_NOBODYS = "\U0003fffd"
# The height of a row of ``letters.typ``; its characters in the SVG, with their places and shapes.
_ROW_PT = 20
_ITEM = re.compile(r'<g transform="matrix\([^)]* ([0-9.]+)\)"(?:/>|>(.*?)</g>)', re.DOTALL)
_SHAPE = re.compile(r'href="#([^"]*)"')
_FAILED = mark("The pages could not be laid out.")


def typeset(name: str, data: Mapping[str, Any], folder: Path) -> Path:
    """Make the PDF of a design, with the stand-ins of its pictures.

    :param name: the file of a design, without ``.typ``.
    :param data: what the design shows.
    :param folder: holds the stand-ins, and gets the design and the PDF.
    :raise ServiceBusyError: no process can be started, or it was stopped.
    :raise ServiceRefusedError: the pages cannot be laid out.
    """
    for design in (f"{name}.typ", "common.typ", "fonts.typ"):
        shutil.copyfile(DESIGNS / design, folder / design)
    (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    target = folder / "pages.pdf"
    task = {"source": str(folder / f"{name}.typ"), "root": str(folder), "target": str(target)}
    try:
        _run(task, TIMEOUT_SECONDS)
    except TimeoutError:
        raise PictureTooLargeError(mark("Laying out the pages took too long.")) from None
    return target


# Fonts are installed while no program runs, so what was found stays true.
_known: dict[str, bool] = {}


def find_missing(characters: Iterable[str], timeout_seconds: float = TIMEOUT_SECONDS) -> set[str]:
    """Return those of some characters that no font has, so that an empty box is printed.

    Takes a second for the first unusual ones, and nothing for those of European languages.

    :raise ServiceBusyError: no process can be started, or it was stopped.
    :raise ServiceRefusedError: it could not be found out.
    """
    asked = {one for one in characters if not _is_common(one)}
    if unknown := sorted(asked - _known.keys()):
        try:
            _known.update(_look_at(unknown, timeout_seconds))
        except TimeoutError:
            raise ServiceBusyError("typesetter", "look for characters", _FAILED) from None
    return {one for one in asked if _known[one]}


def _is_common(character: str) -> bool:
    """Tell whether the font of the designs has a character, or it draws nothing by itself."""
    if character <= "\u017f" or character in "–—‘’‚“”„†•…‰‹›€™−×":
        return True
    # Spaces, marks upon other letters, and what only controls a text.
    return unicodedata.category(character) in {"Zs", "Zl", "Zp", "Mn", "Me", "Mc", "Cc", "Cf", "Cs"}


def _look_at(characters: Sequence[str], timeout_seconds: float) -> dict[str, bool]:
    """Draw characters, and compare each with one that no font can have: character → is missing."""
    rows = [_NOBODYS, *characters]
    svg = _run(
        {
            "source": str(DESIGNS / "letters.typ"),
            "root": str(DESIGNS),
            "format": "svg",
            "inputs": {"characters": json.dumps(rows)},
        },
        timeout_seconds,
    )[0].decode()
    drawn: dict[int, list[str]] = {}
    for height, shapes in _ITEM.findall(svg):
        drawn.setdefault(int(float(height) // _ROW_PT), []).extend(_SHAPE.findall(shapes))
    empty = drawn.get(0)
    return {one: drawn.get(row) == empty for row, one in enumerate(characters, start=1)}


def _run(task: Mapping[str, Any], timeout_seconds: float) -> list[bytes]:
    """Do a task in a process of its own; return what it made, unless it has a ``target``.

    :raise TimeoutError: it takes too long.
    """
    try:
        child = Child("imagehub.printing.typeset_child")
    except OSError as error:
        raise ServiceBusyError("typesetter", "lay out pages", _FAILED) from error
    try:
        child.send({**task, "memory_limit_bytes": MEMORY_LIMIT_BYTES})
        answer, made = child.receive(timeout_seconds)
    except TimeoutError:
        raise
    except (OSError, EOFError, ValueError) as error:
        log.error("The typesetter ended unexpectedly")
        raise ServiceRefusedError("typesetter", "lay out pages", "failed", _FAILED) from error
    finally:
        child.stop()
        child.kill()
    if answer["kind"] != "pages":
        log.error("The pages could not be laid out: %s", answer.get("trace"))
        raise ServiceRefusedError("typesetter", "lay out pages", "failed", _FAILED)
    return made
