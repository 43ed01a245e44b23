"""Find private properties in XMP packets, and blank them with spaces.

Whole elements and attributes are blanked, so that the rest stays well-formed XML of the same
length. Source: ISO 16684-1 (XMP part 1); XMP Specification part 3, 1.1.3.1 (extended XMP).
"""

import hashlib
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from imagehub.imaging.private_data.blanks import apply_blanks, merge_blanks
from imagehub.imaging.private_data.source import Findings, Window

_NAME = rb"[^\s=/>\"'<]+"
_TOKEN = re.compile(
    rb"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>"
    rb"|</\s*(?P<end>" + _NAME + rb")\s*>"
    rb"|<(?P<start>[^\s=/>\"'<!?]+)(?P<attributes>(?:\s+" + _NAME + rb"\s*=\s*"
    rb"(?:\"[^\"<]*\"|'[^'<]*'))*)\s*(?P<closed>/?)>"
    rb"|(?P<unclosed><!--|<\?|<!\[CDATA\[)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rb"(" + _NAME + rb")\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")
_MAX_DEPTH = 200
# A tag takes as long as reading so many bytes.
_TAG_BYTES = 256
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
    name: bytes
    namespaces: ChainMap[str, str]
    private: _Found | None = field(default=None)


class _MalformedError(Exception):
    """The packet cannot be read as XML."""


def look_at_xmp(window: Window) -> None:
    """Blank the private properties of a packet."""
    data = window.read_all()
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
    found: list[_Found] = []
    stack: list[_Element] = []
    private: _Found | None = None
    at = 0
    for token in _TOKEN.finditer(data):
        findings.count_read(_TAG_BYTES)
        text = data[at : token.start()]
        if b"<" in text or token["unclosed"] or len(stack) > _MAX_DEPTH:
            raise _MalformedError
        at = token.end()
        if private is not None and text.strip():
            private.has_value = True
        if token["end"]:
            if not stack or stack[-1].name != token["end"]:
                raise _MalformedError
            element = stack.pop()
            if element.private is not None:
                element.private.end = at
                private = None
        elif token["start"]:
            element = _open_element(token, stack)
            attributes = list(_iter_attributes(token, element.namespaces))
            if private is not None:
                private.has_value |= any(value for *_, value in attributes)
            elif kind := classify(*_resolve(token["start"], element.namespaces)):
                element.private = private = _Found(kind, token.start())
                private.has_value = any(value for *_, value in attributes)
                found.append(private)
            else:
                for kind, start, end, value in attributes:
                    if kind and value:
                        found.append(_Found(kind, start, end, True))
            if not token["closed"]:
                stack.append(element)
            elif element.private is not None:
                element.private.end = at
                private = None
        elif private is not None and token[0].startswith(b"<![CDATA["):
            private.has_value = True
    if stack or b"<" in data[at:]:
        raise _MalformedError
    return found


def _open_element(token: "re.Match[bytes]", stack: list[_Element]) -> _Element:
    namespaces: ChainMap[str, str] = stack[-1].namespaces if stack else ChainMap()
    own = {}
    for name, double, single in _ATTRIBUTE.findall(token["attributes"]):
        if name == b"xmlns" or name.startswith(b"xmlns:"):
            own[name[6:].decode("utf-8", "replace")] = (double or single).decode("utf-8", "replace")
    return _Element(token["start"], namespaces.new_child(own) if own else namespaces)


def _iter_attributes(
    token: "re.Match[bytes]", namespaces: Mapping[str, str]
) -> Iterable[tuple[str, int, int, bool]]:
    """Yield (kind, start, end, whether it has a value) of the attributes that are properties."""
    start = token.start("attributes")
    for attribute in _ATTRIBUTE.finditer(token["attributes"]):
        if attribute[1].startswith(b"xmlns") or b":" not in attribute[1]:
            continue
        namespace, name = _resolve(attribute[1], namespaces)
        if namespace in _SYNTAX and name != "resource":
            continue
        has_value = bool((attribute[2] or attribute[3] or b"").strip())
        yield (
            classify(namespace, name),
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
