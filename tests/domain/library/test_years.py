"""Years of works: numbers and ranges."""

import pytest

from imagehub.domain.library.years import make_iso_year, tidy_year
from imagehub.errors import InvalidInputError


@pytest.mark.parametrize(
    ("typed", "year", "for_machines"),
    [
        ("", "", ""),
        (" 2019 ", "2019", "2019"),
        ("2019-2021", "2019–2021", "2019/2021"),
        ("2019 – 2021", "2019–2021", "2019/2021"),
        ("1998/99", "1998–1999", "1998/1999"),
        ("2019–2019", "2019", "2019"),
        ("２０１９", "2019", "2019"),
        ("ca. 1911", "c. 1911", "1911"),
        ("um 1911–13", "c. 1911–1913", "1911/1913"),
        ("850", "850", "0850"),
    ],
)
def test_a_year_is_a_number_or_a_range(typed: str, year: str, for_machines: str) -> None:
    assert tidy_year(typed) == year
    assert tidy_year(year) == year
    assert make_iso_year(year) == for_machines


@pytest.mark.parametrize(
    "typed", ["summer", "19999", "0", "2019–", "–2021", "2021-2019", "2019, 2021", "-5", "2019.5"]
)
def test_anything_else_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        tidy_year(typed)
    assert list(refused.value.fields) == ["year"]


def test_words_from_before_years_were_checked_are_no_year_for_machines() -> None:
    assert make_iso_year("in her youth") == ""
