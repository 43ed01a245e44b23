"""Read what a file says about its picture: title, caption, keywords, artist and rights.

The packets come from :func:`imagehub.imaging.private_data.look`, which finds them in all kinds of
files. Everything is bounded: their bytes there, the values here. Which source counts if several
differ: Metadata Working Group, Guidelines for Handling Image Metadata 2.0, chapters 3 and 5; fields
that correspond: IPTC Photo Metadata Standard 2023.1. XML is read by expat of the standard library,
without document types and so without entities.
"""

import hashlib
import html
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from urllib.parse import urlsplit
from xml.parsers import expat

from imagehub.imaging.private_data.source import Packet

MAX_KEYWORDS = 50
_MAX_CHARS = {"title": 300, "caption": 10_000, "alt": 1000, "license_url": 300}
_MOST_CHARS = 300
_MAX_KEYWORD_CHARS = 60
_MAX_DEPTH = 50
_MAX_VALUES = 500
_MAX_VALUE_BYTES = 40_000


@dataclass(frozen=True)
class FoundWords:
    """What a file says; "" and () for what it does not say.

    ``alt`` describes the picture for people who cannot see it. ``license_url`` is the address of
    the rights.
    """

    title: str = ""
    caption: str = ""
    alt: str = ""
    keywords: tuple[str, ...] = ()
    creator: str = ""
    copyright_notice: str = ""
    license_url: str = ""

    def __bool__(self) -> bool:
        return any(self.__dict__.values())


FIELDS = tuple(FoundWords.__dataclass_fields__)


def write_words(words: FoundWords) -> str:
    """Return words as JSON, without what is empty."""
    return json.dumps({k: v for k, v in asdict(words).items() if v}, ensure_ascii=False)


def parse_words(text: str) -> FoundWords:
    """Read what :func:`write_words` has written; "" is nothing."""
    values = json.loads(text or "{}")
    values["keywords"] = tuple(values.get("keywords", ()))
    return FoundWords(**values)


def read_words(packets: Sequence[Packet], language: str = "") -> FoundWords:
    """Read the words of a file.

    Exif comes first, then XMP; IPTC comes before XMP if a program that does not know XMP has
    changed it, as the stored checksum tells, and after it otherwise.

    :param packets: in the order of the file; of each kind the first one that says something counts.
    :param language: preferred where a text is given in several; otherwise the default of the file.
    """
    by_kind: dict[str, list[bytes]] = defaultdict(list)
    for packet in packets:
        by_kind[packet.kind].append(packet.data)
    xmp = _first_values([_read_xmp(data, language) for data in by_kind["xmp"]])
    iptc = _first_values([_read_iptc(data) for data in by_kind["iptc"]])
    exif = _read_exif(by_kind)
    png = {name: _first(by_kind[f"png-{name}"]) for name in ("title", "caption", "creator")}
    png["copyright_notice"] = _first(by_kind["png-copyright_notice"])
    sources = [iptc, xmp] if _was_changed(by_kind) else [xmp, iptc]

    def pick(name: str, *others: str) -> str:
        values = [*others, *("\n".join(source.get(name, ())[:1]) for source in sources)]
        return next((text for value in values if (text := _tidy(name, value))), "")

    words = FoundWords(
        title=pick("title") or pick("headline") or _tidy("title", exif["title"] or png["title"]),
        caption=pick("caption", _unless_replaced(exif["caption"], sources, "caption"))
        or _tidy("caption", png["caption"]),
        alt=pick("alt"),
        creator=_tidy_names(exif["creator"], sources) or _tidy("creator", png["creator"]),
        copyright_notice=pick(
            "copyright_notice",
            _unless_replaced(exif["copyright_notice"], sources, "copyright_notice"),
        )
        or _tidy("copyright_notice", png["copyright_notice"]),
        license_url=_tidy_url(pick("license_url")),
    )
    keywords = next((found for source in sources if (found := source.get("keywords"))), None)
    return replace(words, keywords=_tidy_keywords(keywords or exif["keywords"].split(";")))


# --- Rules ----------------------------------------------------------------------------------------

# What cameras write where people may describe the picture.
_FILLERS = re.compile(
    r"(?:OLYMPUS|MINOLTA|KONICA MINOLTA|SONY|SAMSUNG|KODAK|CASIO|PENTAX|VIVITAR|DIGITAL)[\w ]{0,12}"
    r"(?:DIGITAL CAMERA|DSC)|DCIM|SONY DSC|DSC|Default|Exif_JPEG|binary comment|Untitled"
    r"|MOBILE\w*|Screenshot|<[A-Z][\w ]+>|dav|hdr\w*|cof|rptr?\b.*",
    re.IGNORECASE,
)


def _was_changed(packets: Mapping[str, list[bytes]]) -> bool:
    """Tell whether IPTC was changed by a program that left XMP and the checksum as they were."""
    stored, iptc = packets["iptc-digest"], packets["iptc"]
    if not stored or not iptc or not stored[0].strip(b"\0"):
        return False
    return hashlib.md5(iptc[0], usedforsecurity=False).digest() != stored[0]


def _unless_replaced(text: str, sources: Sequence[Mapping[str, list[str]]], name: str) -> str:
    """Drop a text of Exif that is another source's with its letters beyond ASCII replaced."""
    plain = re.sub(r"[^ -~]+", "?", text)
    for source in sources:
        for value in source.get(name, ())[:1]:
            if "?" in text and re.sub(r"\?+", "?", plain) == re.sub(r"[^ -~]+|\?+", "?", value):
                return ""
    return text


def _tidy_names(exif: str, sources: Sequence[Mapping[str, list[str]]]) -> str:
    """Return the artists; Exif separates them by semicolons."""
    exif = _unless_replaced(exif, sources, "creator")
    lists = [[part.strip(' "') for part in exif.split(";")]]
    lists += [source.get("creator", []) for source in sources]
    for names in lists:
        found = dict.fromkeys(name for one in names if (name := _tidy("creator", one)))
        if found:
            return _tidy("creator", ", ".join(list(found)[:10]))
    return ""


def _tidy(name: str, text: str) -> str:
    """Return a value as it may be stored: on one line except for captions, of limited length."""
    if name == "caption":
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    else:
        text = " ".join(text.split())
    # Some programs write the entities of XML into other formats.
    if re.search(r"&(?:amp|lt|gt|quot|#\d+);", text):
        text = html.unescape(text)
    text = "".join(
        c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Cn", "Co")
    ).strip()
    if not any(c.isalnum() for c in text) or _FILLERS.fullmatch(text):
        return ""
    return unicodedata.normalize("NFC", text)[: _MAX_CHARS.get(name, _MOST_CHARS)].strip()


def _tidy_url(text: str) -> str:
    parts = urlsplit(text) if text.isprintable() and not re.search(r"[\s<>\"\\]", text) else None
    return text if parts and parts.scheme in ("http", "https") and parts.netloc else ""


def _tidy_keywords(values: Sequence[str]) -> tuple[str, ...]:
    """Return the keywords, each once; a comma separates those that a program wrote as one."""
    found: dict[str, str] = {}
    for value in values[:_MAX_VALUES]:
        for part in re.split(r"[,;\n]", value):
            word = _tidy("keyword", part)
            if word and len(word) <= _MAX_KEYWORD_CHARS:
                found.setdefault(word.casefold(), word)
    return tuple(found.values())[:MAX_KEYWORDS]


def _first(texts: Sequence[bytes]) -> str:
    return _decode(texts[0]) if texts else ""


def _first_values(sources: Sequence[Mapping[str, list[str]]]) -> dict[str, list[str]]:
    """Join packets of one kind: the first that has a field counts."""
    joined: dict[str, list[str]] = {}
    for source in sources:
        for name, values in source.items():
            joined.setdefault(name, values)
    return joined


# --- Exif -----------------------------------------------------------------------------------------


def _read_exif(packets: Mapping[str, list[bytes]]) -> dict[str, str]:
    """Read ImageDescription, Artist and Copyright, and what Windows writes beside them."""

    def wide(tag: str) -> str:
        data = packets[f"exif-{tag}"]
        return (
            data[0][:_MAX_VALUE_BYTES].decode("utf-16-le", "ignore").split("\0")[0] if data else ""
        )

    def plain(tag: str) -> str:
        data = packets[f"exif-{tag}"]
        return _decode(data[0]) if data else ""

    # Copyright is that of the photographer, a zero, and that of the editor.
    rights = [part.strip() for part in plain("8298").split("\0") if part.strip()]
    return {
        "title": wide("9c9b"),
        "caption": plain("010e").split("\0")[0],
        "creator": plain("013b").split("\0")[0] or wide("9c9d"),
        "copyright_notice": ", ".join(rights[:2]),
        "keywords": wide("9c9e"),
    }


def _decode(data: bytes) -> str:
    """Return a text in UTF-8, or else in the code page that Western programs wrote.

    Many programs write UTF-8 without saying so (IPTC 1:90), and a few say so and do not.
    """
    data = data[:_MAX_VALUE_BYTES].strip(b"\0 ")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # Fields are short: the last character may have been cut in two.
        if error.reason == "unexpected end of data":
            return data[: error.start].decode()
        return data.decode("cp1252", "replace").replace("\ufffd", "")


# --- IPTC -----------------------------------------------------------------------------------------

# Source: IPTC-NAA Information Interchange Model 4.2, chapters 5 and 6.
_IPTC_FIELDS = {
    5: "title",
    25: "keywords",
    80: "creator",
    105: "headline",
    116: "copyright_notice",
    120: "caption",
}


def _read_iptc(data: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for record, number, value in _iter_datasets(data):
        name = _IPTC_FIELDS.get(number, "") if record == 2 else ""
        if name and len(found[name]) < _MAX_VALUES:
            found[name].append(_decode(value))
    return {name: values for name, values in found.items() if values}


def _iter_datasets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 5 <= len(data) and data[at] == 0x1C:
        record, number, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5])
        at += 5
        if size & 0x8000:
            length_bytes = size & 0x7FFF
            if length_bytes > 4:
                return
            size = int.from_bytes(data[at : at + length_bytes])
            at += length_bytes
        yield record, number, data[at : at + size]
        at += size


# --- XMP ------------------------------------------------------------------------------------------

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LANG = "http://www.w3.org/XML/1998/namespace lang"
_DC = "http://purl.org/dc/elements/1.1/"
_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
_XMP_FIELDS = {
    f"{_DC} title": "title",
    f"{_DC} description": "caption",
    f"{_DC} creator": "creator",
    f"{_DC} rights": "copyright_notice",
    f"{_DC} subject": "keywords",
    "http://ns.adobe.com/photoshop/1.0/ Headline": "headline",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/ AltTextAccessibility": "alt",
    f"{_RIGHTS} WebStatement": "license_url",
}


class _RefusedError(Exception):
    """The packet is built as none is."""


class _Packet:
    """Reads the properties of a packet: a text, or the entries of a list, each with a language."""

    def __init__(self) -> None:
        self.found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._depth = 0
        self._name = ""
        self._name_depth = 0
        self._text: list[str] = []
        self._language = ""
        self._size = 0

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(data.strip(b"\0 \t\r\n"), True)
        except (expat.ExpatError, _RefusedError, ValueError):
            return  # What stands before the fault is kept.

    def _refuse(self, *_arguments: object) -> None:
        raise _RefusedError

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _RefusedError
        if not self._name:
            if name == f"{_RDF} Description":
                # Simple properties may be attributes.
                for key, value in attributes.items():
                    self._keep(_XMP_FIELDS.get(key, ""), "", value)
            field = _XMP_FIELDS.get(name, "")
            if field:
                self._name, self._name_depth = field, self._depth
                self._begin(attributes)
                self._keep(field, "", attributes.get(f"{_RDF} resource", ""))
        elif name == f"{_RDF} li":
            self._begin(attributes)

    def _begin(self, attributes: Mapping[str, str]) -> None:
        self._text, self._size = [], 0
        self._language = attributes.get(_LANG, "")

    def _add(self, data: str) -> None:
        if self._name and self._size < _MAX_VALUE_BYTES:
            self._text.append(data)
            self._size += len(data)

    def _end(self, name: str) -> None:
        if self._name and (name == f"{_RDF} li" or self._depth == self._name_depth):
            self._keep(self._name, self._language, "".join(self._text))
            self._text = []
        if self._depth == self._name_depth:
            self._name, self._name_depth = "", 0
        self._depth -= 1

    def _keep(self, field: str, language: str, text: str) -> None:
        if field and text.strip() and len(self.found[field]) < _MAX_VALUES:
            self.found[field].append((language.lower(), text[:_MAX_VALUE_BYTES]))


_SEVERAL = frozenset({"creator", "keywords"})


def _read_xmp(data: bytes, language: str) -> dict[str, list[str]]:
    packet = _Packet()
    packet.read(data)
    return {
        name: [text for _, text in values]
        if name in _SEVERAL
        else [_pick_language(values, language.lower())]
        for name, values in packet.found.items()
        if values
    }


def _pick_language(values: Sequence[tuple[str, str]], language: str) -> str:
    """Return the text in a language, or else the default, or else the first."""
    by_language = {code: text for code, text in reversed(values)}
    regional = (text for code, text in values if language and code.startswith(f"{language}-"))
    found = by_language.get(language) if language else None
    return found or next(regional, None) or by_language.get("x-default") or values[0][1]
