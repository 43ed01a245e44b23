"""Find places, users and serial numbers in free text: captions, comments, notes of programs.

Only what can be told from prose counts: coordinates, links to maps, and values with a label. The
name of a town in a caption is what its author wants to say. So are the prompts and workflows of
image generators, except what is found in them.
"""

import re

# No caption is longer; what follows is not looked at twice.
MAX_TEXT_BYTES = 16 * 1024 * 1024

_DEGREES = r"(?:°|º|˚|\bdeg\b|&deg;|&#176;)"
_PLACES = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        # 51°31'21"N, N 51.52°
        r"\d ?" + _DEGREES + r"[\d\s.,'\"′″’”]{0,25}[NS]\b",
        r"\b[NS] ?\d{1,2}(?:[.,]\d{1,12})? ?" + _DEGREES,
        # 51.5225 N, 0.1583 W
        r"(?<![\d.])\d{1,2}[.,]\d{3,15} ?[NS]\b.{0,5}?\d{1,3}[.,]\d{3,15} ?[EWO]\b",
        # ISO 6709: +51.5225-000.1583/
        r"(?<![\w.])[-+]\d{2}(?:\d{2}){0,2}(?:\.\d{1,12})?[-+]\d{3}(?:\d{2}){0,2}(?:\.\d{1,12})?"
        r"(?:[-+]\d{1,6}(?:\.\d{1,12})?)?(?:CRS\w{1,20})?/",
        r"\bgeo:-?\d",
        r"\bmaps\.[a-z]|/maps[/?@]|\bopenstreetmap\b|\bosm\.org\b|\bwhat3words\b|\bplus\.codes\b",
        r"\bgps[ _-]?\w{0,20}[\s:=\"']{1,5}[-+]?\d|\blatitude\b|\blongitude\b|\bgeotag|\bgeohash",
        r"\b(?:lat|lon|lng)[\"']? ?[:=] ?[\"']?[-+]?\d",
    )
)
# 51.52253, -0.15830: in prose, not in lists of numbers. The colour coordinates of white look alike.
_PAIR = re.compile(
    r"(?<![\d.,\[(] )(?<![\d.,\[(])[-+]?\d{1,2}\.\d{4,15}(?![\d.]) ?[,;] ?[-+]?\d{1,3}\.\d{4,15}"
    r"(?! ?[,;]|[\d.\])])"
)
_LABEL = re.compile(
    r"\bgps|(?:^|[\n;,|{])\s{0,8}[\"']?(?:sub-?)?(?:location|place|city|country|address)"
    r"(?: created| shown| name)?[\"']? ?[:=] ?[\"']?\w",
    re.IGNORECASE,
)
_DEVICE = re.compile(r"\bserial ?(?:number|no\b|nr\b|#)", re.IGNORECASE)
# The folder of a user of a computer: C:\Users\Ada, also with doubled backslashes; /home/ada.
_PERSON = re.compile(
    r"(?:(?<![\w.-])/|\\)(?:users|home|documents and settings)[\\/]{1,2}"
    r"(?!public\b|shared\b)[^\\/\s\"']|\bowner ?name\b|\bcameraowner",
    re.IGNORECASE,
)
# Names of text fields of PNG, many of them after Exif and XMP.
_KEYWORDS = (
    (
        "place",
        re.compile(
            r"gps|itude|location|coordinate|geotag|geohash|^geo|\bplace|\bcity\b|\bcountry\b"
            r"|\bprovince|\baddress",
            re.IGNORECASE,
        ),
    ),
    ("device", re.compile(r"serial|host ?computer", re.IGNORECASE)),
    ("person", re.compile(r"owner|\bcontact|\bperson|\bface ?region", re.IGNORECASE)),
)


def classify_text(text: str, is_prose: bool = True) -> set[str]:
    """Return the kinds of private data in a text.

    :param is_prose: written by or for people. In other texts, such as lists of numbers and packed
        pictures, only what is unmistakable counts.
    """
    kinds = set()
    has_words = is_prose and text.lstrip()[:1] not in ("{", "[")
    if any(pattern.search(text) for pattern in _PLACES) or (
        has_words and (_PAIR.search(text) or _LABEL.search(text))
    ):
        kinds.add("place")
    if _PERSON.search(text):
        kinds.add("person")
    if _DEVICE.search(text):
        kinds.add("device")
    return kinds


def classify_keyword(keyword: str) -> set[str]:
    """Return what kind of private data a named text is, whatever it says."""
    return {kind for kind, pattern in _KEYWORDS if pattern.search(keyword)}


def decode_text(data: bytes) -> str:
    """Return a text in UTF-8, or else in Latin-1."""
    data = data[:MAX_TEXT_BYTES].strip(b"\0 ")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode_comment(data: bytes, order: str) -> str:
    """Return the comment of a person or program in Exif (UserComment).

    Source: Exif 3.0, section 4.6.5.

    :param order: of the bytes in numbers, "<" or ">", which not all programs follow.
    """
    code, text = data[:8], data[8 : MAX_TEXT_BYTES + 8]
    if code != b"UNICODE\0":
        return decode_text(text if code[5:] == b"\0\0\0" or not code.strip(b"\0 ") else data)
    text = text.removeprefix(b"\xef\xbb\xbf")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return text.decode("utf-16", "replace")
    # Zeros are the upper halves of Latin letters.
    first, second = text[0::2].count(0), text[1::2].count(0)
    is_big = first > second if first != second else order == ">"
    return text.decode("utf-16-be" if is_big else "utf-16-le", "replace").strip("\0 ")
