"""Checking and correcting names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagehub.clients.drive_ids import check_name, repair_name
from imagehub.errors import InvalidInputError

BAD_EVERYWHERE = [
    "",
    " ",
    ".",
    "..",
    "a/b",
    "a\\b",
    "a*b",
    "a<b",
    "a>b",
    "a?b",
    "a:b",
    "a|b",
    'a"b',
    " a",
    "a ",
    "a.",
    "~a",
    "~$a.docx",
    ".lock",
    "CON",
    "con",
    "PRN",
    "aux",
    "Nul",
    "COM0",
    "lpt9",
    "Desktop.ini",
    "a_vti_b",
    "a\x00b",
    "a\nb",
    "a\x7fb",
    "a\ud800b",
    "a" * 256,
]
GOOD_EVERYWHERE = [
    "front.jpg",
    "Ölbild 3 (Rückseite).jpg",
    "絵.png",
    "🎨.webp",
    "a.b.c",
    ".hidden",
    "console",
    "a~b",
    "a'b",
    "50 & more + 1 = 1;@!",
    "study #4.jpg",
    "50%.jpg",
    "%41%2F#.jpg",
    "drive",
    "a" * 255,
]


@pytest.mark.parametrize("kind", ["personal", "business", "documentLibrary"])
@pytest.mark.parametrize("name", BAD_EVERYWHERE)
def test_an_invalid_name_is_refused_with_a_message(name: str, kind: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_name(name, kind)
    assert str(caught.value).endswith(".")
    assert caught.value.fields == {"name": str(caught.value)}


@pytest.mark.parametrize("kind", ["personal", "business"])
@pytest.mark.parametrize("name", GOOD_EVERYWHERE)
def test_an_ordinary_name_passes_and_is_not_repaired(name: str, kind: str) -> None:
    check_name(name, kind)
    assert repair_name(name, kind) == name


def test_forms_is_reserved_in_the_topmost_folder_of_a_business_drive() -> None:
    check_name("Forms", "business")
    check_name("Forms", "personal", at_root=True)
    with pytest.raises(InvalidInputError):
        check_name("Forms", "business", at_root=True)


@pytest.mark.parametrize(
    ("name", "repaired"),
    [
        ("a/b:c.jpg", "a_b_c.jpg"),
        ("  front .jpg. ", "front .jpg"),
        ("~$work.docx", "_$work.docx"),
        ("con", "_con"),
        ("...", "untitled"),
        ("u\u0308ber.jpg", "über.jpg"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe", "a_gpj.exe"),
        ("\N{RIGHT-TO-LEFT ISOLATE}a\N{POP DIRECTIONAL ISOLATE}.jpg", "_a_.jpg"),
    ],
)
def test_a_bad_name_is_repaired_to_one_that_resembles_it(name: str, repaired: str) -> None:
    assert repair_name(name) == repaired


def test_a_long_name_keeps_its_ending() -> None:
    repaired = repair_name("x" * 400 + ".jpeg")
    assert len(repaired) == 255
    assert repaired.endswith("x.jpeg")


@given(st.text(max_size=300), st.sampled_from(["personal", "business"]), st.booleans())
def test_repaired_names_are_valid(name: str, kind: str, at_root: bool) -> None:
    check_name(repair_name(name, kind, at_root), kind, at_root)
