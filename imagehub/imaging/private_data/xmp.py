"""Find private properties in XMP packets, and blank them with spaces.

Whole elements and attributes are blanked, so that the rest stays well-formed XML of the same
length. Source: ISO 16684-1 (XMP part 1); XMP Specification part 3, 1.1.3.1 (extended XMP).
"""

import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from imagehub.imaging.private_data.blanks import apply_blanks, merge_blanks
from imagehub.imaging.private_data.source import Findings, Window
from imagehub.imaging.private_data.texts import classify_text, decode_text

_CDATA = b"<![CDATA["
_NAME = rb"[^\s=/>\"'<]+"
_TAG = re.compile(
    rb"</\s*(?P<end>" + _NAME + rb")\s*>"
    rb"|<(?P<start>[^\s=/>\"'<!?]+)(?P<attributes>(?:\s+" + _NAME + rb"\s*=\s*"
    rb"(?:\"[^\"<]*\"|'[^'<]*'))*)\s*(?P<closed>/?)>"
)
# Comments, processing instructions and CDATA: how each begins and ends.
_SKIPPED = ((b"<!--", b"-->"), (b"<?", b"?>"), (_CDATA, b"]]>"))
_MAX_DEPTH = 200
# A tag takes as long as reading so many bytes.
_TAG_BYTES = 256
_ATTRIBUTE = re.compile(rb"(" + _NAME + rb")\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")
# For packets that cannot be read as XML.
_WORDS = re.compile(
    rb"gps|latitude|longitude|location|serialnumber|ownername|person|regions|<photoshop:city"
    rb"|country|contact",
    re.IGNORECASE,
)

_SYNTAX = frozenset(
    {"http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://www.w3.org/XML/1998/namespace"}
)
# Namespaces in which every property is private.
_NAMESPACES = {
    "http://www.w3.org/2003/01/geo/wgs84_pos#": "place",
    "http://www.dji.com/drone-dji/1.0/": "place",
    "http://www.metadataworkinggroup.com/schemas/regions/": "person",
    "http://ns.apple.com/faceinfo/1.0/": "person",
    "http://ns.acdsee.com/regions/": "person",
    "http://ns.idimager.com/ics/1.0/": "person",
}
_PROPERTIES = {
    "http://ns.adobe.com/photoshop/1.0/": {"City": "place", "State": "place", "Country": "place"},
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": {
        "CreatorContactInfo": "person",
        "CountryCode": "place",
        "Location": "place",
    },
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": {
        "PersonInImage": "person",
        "PersonInImageWDetails": "person",
        "ImageRegion": "person",
        "LocationCreated": "place",
        "LocationShown": "place",
    },
    "http://ns.microsoft.com/photo/1.2/": {"RegionInfo": "person"},
    "http://xmp.gettyimages.com/gift/1.0/": {"Personality": "person"},
    "http://purl.org/dc/elements/1.1/": {"coverage": "place"},
    "http://purl.org/dc/terms/": {"spatial": "place"},
    "http://prismstandard.org/namespaces/basic/2.0/": {"person": "person", "location": "place"},
    "http://prismstandard.org/namespaces/basic/3.0/": {"person": "person", "location": "place"},
    "http://ns.adobe.com/exif/1.0/": {"MakerNote": "device"},
}
# Properties that people write.
_PROSE = {
    "http://purl.org/dc/elements/1.1/": ("description", "subject", "title"),
    "http://ns.adobe.com/exif/1.0/": ("UserComment",),
    "http://ns.adobe.com/tiff/1.0/": ("ImageDescription",),
    "http://ns.adobe.com/photoshop/1.0/": ("Headline", "Instructions"),
}
# In any namespace.
_PATTERNS = (
    ("place", re.compile(r"^gps|latitude|long(t)?itude|location|geotag|geohash", re.IGNORECASE)),
    ("device", re.compile(r"serialnumber$", re.IGNORECASE)),
    ("person", re.compile(r"ownername$|^personinimage|^contactinfo", re.IGNORECASE)),
)


def classify(namespace: str, name: str) -> str:
    """Return what kind of private data a property is, "" if none."""
    if namespace in _SYNTAX:
        return ""
    known = _NAMESPACES.get(namespace) or _PROPERTIES.get(namespace, {}).get(name)
    if known:
        return known
    return next((kind for kind, pattern in _PATTERNS if pattern.search(name)), "")


@dataclass
class _Found:
    """A private property: its kind, and where it begins and ends in the packet."""

    kind: str
    start: int
    end: int = 0
    has_value: bool = False


@dataclass
class _Element:
    """An open element. ``outer``: what its namespace declarations replaced, prefix → namespace."""

    name: bytes
    outer: Mapping[str, str | None]
    is_prose: bool
    private: _Found | None = field(default=None)


class _MalformedError(Exception):
    """The packet cannot be read as XML."""


def look_at_xmp(window: Window) -> None:
    """Blank the private properties of a packet."""
    data = window.read_all()
    window.findings.keep("xmp", data)
    if b"\0<\0" in data or b"<\0" in data[:200]:
        _look_at_wide(window, data)
        return
    try:
        found = _find_private(data, window.findings)
    except _MalformedError:
        if _WORDS.search(data):
            window.findings.note("other")
            window.blank(0, len(data), 0x20)
        return
    for one in found:
        if one.has_value:
            window.findings.note(one.kind)
            window.blank(one.start, one.end - one.start, 0x20)


def _look_at_wide(window: Window, data: bytes) -> None:
    """Refuse packets in UTF-16 or UTF-32, which hardly any program writes."""
    if _WORDS.search(data.replace(b"\0", b"")):
        window.findings.note("other")
        window.findings.is_fixed = True


def _find_private(data: bytes, findings: Findings) -> list[_Found]:
    reader = _Reader()
    at = 0
    # Each token begins where the last one ended or at the next "<", so that nothing is read twice.
    while (start := data.find(b"<", at)) >= 0:
        findings.count_read(_TAG_BYTES)
        reader.read_text(data[at:start], at)
        ending = next((end for begin, end in _SKIPPED if data.startswith(begin, start)), None)
        if ending is not None:
            end = data.find(ending, start + 2)
            if end < 0:
                raise _MalformedError
            at = end + len(ending)
            if ending == b"]]>":
                reader.read_text(data[start + len(_CDATA) : end], start + len(_CDATA))
            continue
        tag = _TAG.match(data, start)
        if tag is None or len(reader.stack) > _MAX_DEPTH:
            raise _MalformedError
        at = tag.end()
        if tag["end"]:
            reader.read_end(tag)
        else:
            reader.read_start(tag)
    if reader.stack:
        raise _MalformedError
    return reader.found


class _Reader:
    """Collects the private properties of a packet, token by token."""

    def __init__(self) -> None:
        self.found: list[_Found] = []
        self.stack: list[_Element] = []
        self._private: _Found | None = None
        self._namespaces: dict[str, str] = {}

    def read_text(self, data: bytes, at: int) -> None:
        if not data.strip():
            return
        if self._private is not None:
            self._private.has_value = True
        elif kinds := _classify_value(data, bool(self.stack) and self.stack[-1].is_prose):
            self.found += [_Found(kind, at, at + len(data), True) for kind in kinds]

    def read_start(self, tag: "re.Match[bytes]") -> None:
        outer = self._declare(tag["attributes"])
        name = _resolve(tag["start"], self._namespaces)
        is_inside = bool(self.stack) and self.stack[-1].is_prose
        element = _Element(tag["start"], outer, is_inside or _is_prose(*name))
        attributes = list(_iter_attributes(tag, self._namespaces))
        if self._private is not None:
            self._private.has_value |= any(value for *_, value in attributes)
        elif kind := classify(*name):
            element.private = self._private = _Found(kind, tag.start())
            self._private.has_value = any(value for *_, value in attributes)
            self.found.append(self._private)
        else:
            self.found += [
                _Found(kind, start, end, True)
                for kinds, start, end, value in attributes
                if value
                for kind in kinds
            ]
        if tag["closed"]:
            self._close(element, tag.end())
        else:
            self.stack.append(element)

    def read_end(self, tag: "re.Match[bytes]") -> None:
        if not self.stack or self.stack[-1].name != tag["end"]:
            raise _MalformedError
        self._close(self.stack.pop(), tag.end())

    def _declare(self, attributes: bytes) -> Mapping[str, str | None]:
        """Note the namespaces that an element declares, and return what they replace."""
        outer: dict[str, str | None] = {}
        for name, double, single in _ATTRIBUTE.findall(attributes):
            if name == b"xmlns" or name.startswith(b"xmlns:"):
                prefix = name[6:].decode("utf-8", "replace")
                outer.setdefault(prefix, self._namespaces.get(prefix))
                self._namespaces[prefix] = (double or single).decode("utf-8", "replace")
        return outer

    def _close(self, element: _Element, end: int) -> None:
        for prefix, namespace in element.outer.items():
            if namespace is None:
                del self._namespaces[prefix]
            else:
                self._namespaces[prefix] = namespace
        if element.private is not None:
            element.private.end = end
            self._private = None


def _is_prose(namespace: str, name: str) -> bool:
    return name in _PROSE.get(namespace, ())


def _classify_value(value: bytes, is_prose: bool) -> set[str]:
    return classify_text(html.unescape(decode_text(value)), is_prose)


def _iter_attributes(
    tag: "re.Match[bytes]", namespaces: Mapping[str, str]
) -> Iterable[tuple[set[str], int, int, bool]]:
    """Yield (kinds, start, end, whether it has a value) of the attributes that are properties."""
    start = tag.start("attributes")
    for attribute in _ATTRIBUTE.finditer(tag["attributes"]):
        if attribute[1].startswith(b"xmlns") or b":" not in attribute[1]:
            continue
        namespace, name = _resolve(attribute[1], namespaces)
        if namespace in _SYNTAX and name != "resource":
            continue
        value = attribute[2] or attribute[3] or b""
        has_value = bool(value.strip())
        kind = classify(namespace, name)
        yield (
            {kind} if kind else _classify_value(value, _is_prose(namespace, name)),
            start + attribute.start(),
            start + attribute.end(),
            has_value,
        )


def _resolve(name: bytes, namespaces: Mapping[str, str]) -> tuple[str, str]:
    prefix, colon, local = name.decode("utf-8", "replace").rpartition(":")
    return namespaces.get(prefix if colon else "", ""), local


# --- Extended XMP ---------------------------------------------------------------------------------


def look_at_extended_xmp(window: Window, guid_places: Iterable[Window]) -> None:
    """Blank the private properties of extended XMP, which JPEG divides among segments.

    :param guid_places: where the MD5 of the whole stands, as 32 digits; it is updated.
    """
    findings = window.findings
    before = len(findings.blanks)
    look_at_xmp(window)
    if len(findings.blanks) == before:
        return
    blanks = merge_blanks(findings.blanks[before:])
    digest = hashlib.md5(usedforsecurity=False)
    for at, size in window.parts:
        for part in apply_blanks([window.source.read(at, size)], blanks, at):
            digest.update(part)
    for place in guid_places:
        place.put(0, digest.hexdigest().upper().encode())
