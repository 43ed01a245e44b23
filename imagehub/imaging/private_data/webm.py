"""Look at WebM videos. Source: RFC 9559 (Matroska), sections 5.1.8 (Tags) and 6.2 (Void)."""

from collections.abc import Iterator

from imagehub.imaging.private_data.source import Window
from imagehub.imaging.private_data.texts import classify_keyword, classify_text
from imagehub.imaging.sources import CannotCleanError
from imagehub.imaging.video.ebml import (
    ATTACHMENTS,
    INFO,
    TAGS,
    TOP_KINDS,
    VOID,
    Element,
    ElementReader,
    read_segment,
)

_TAG, _SIMPLE_TAG, _NAME, _STRING, _BINARY = 0x7373, 0x67C8, 0x45A3, 0x4487, 0x4485
_TITLE = 0x7BA9
_MAX_DEPTH = 8


def look_at_webm(window: Window) -> None:
    """Look at a WebM file.

    :raise ValueError, LookupError, StopIteration: it is damaged.
    """
    reader = ElementReader(window.source)
    try:
        segment = read_segment(reader, to_end=True)
    except StopIteration:
        raise CannotCleanError("no segment") from None
    for kind, parts in segment.parts.items():
        for part in parts:
            if kind == TAGS:
                found = set().union(*_iter_kinds(reader, part, 0))
                if found:
                    _drop(window, part, found)
            elif kind == ATTACHMENTS or kind not in (*TOP_KINDS, VOID, 0xBF):
                _drop(window, part, {"other"})
            elif kind == INFO:
                _look_at_info(window, reader, part)


def _iter_kinds(reader: ElementReader, parent: Element, depth: int) -> Iterator[set[str]]:
    """Iterate over what the tags of a file give away."""
    if depth > _MAX_DEPTH:
        raise CannotCleanError("tags in tags")
    for one in reader.iter_inside(parent):
        if one.kind in (_TAG, _SIMPLE_TAG):
            yield from _iter_kinds(reader, one, depth + 1)
        elif one.kind == _NAME:
            yield classify_keyword(reader.read(one).decode("utf-8", "replace"))
        elif one.kind == _STRING:
            yield classify_text(reader.read(one).decode("utf-8", "replace"))


def _look_at_info(window: Window, reader: ElementReader, info: Element) -> None:
    for one in reader.iter_inside(info):
        if one.kind == _TITLE:
            kinds = classify_text(reader.read(one).decode("utf-8", "replace"))
            for kind in kinds:
                window.findings.note(kind)
            if kinds:
                window.blank(one.start, one.end - one.start, 0x20)


def _drop(window: Window, element: Element, kinds: set[str]) -> None:
    """Turn an element into an ignored one of the same length."""
    for kind in kinds:
        window.findings.note(kind)
    total = element.end - element.at
    size_bytes = min(8, total - 1)
    rest = total - 1 - size_bytes
    window.put(element.at, bytes([VOID]) + (1 << 7 * size_bytes | rest).to_bytes(size_bytes))
    window.blank(element.at + 1 + size_bytes, rest)
