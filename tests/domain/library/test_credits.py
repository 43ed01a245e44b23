"""Who made a work, and under what terms its images may be used."""

from types import SimpleNamespace
from typing import Any

import pytest

from imagehub.domain.library.credits import (
    Credits,
    describe_credits,
    get_credits,
    tidy_license_url,
)
from imagehub.errors import InvalidInputError
from imagehub.models import Group

TERMS = "https://example.org/terms/"


def make_settings(**values: str) -> Any:
    names = ("creator", "credit_line", "copyright_notice", "license_url", "license_page_url")
    return SimpleNamespace(**dict.fromkeys(names, "") | values)


HUB = make_settings(
    creator="Ada",
    copyright_notice="© Ada",
    license_url=TERMS,
    license_page_url="https://example.org/buy",
)


def make_group(**values: str) -> Group:
    return Group(**{"creator": "", "copyright_notice": "", "license_url": ""} | values)


def test_a_work_is_as_the_hub_says() -> None:
    wanted = Credits("Ada", "Ada", "© Ada", TERMS, "https://example.org/buy")
    assert get_credits(HUB, make_group()) == get_credits(HUB) == wanted
    named = get_credits(make_settings(creator="Ada", credit_line="Studio Ada"), make_group())
    assert named.credit_line == "Studio Ada"


def test_a_work_has_its_own_notice_and_licence() -> None:
    found = get_credits(HUB, make_group(copyright_notice="© Ada, 1999", license_url="https://b.c"))
    assert (found.creator, found.copyright_notice) == ("Ada", "© Ada, 1999")
    assert (found.license_url, found.license_page_url) == ("https://b.c", "https://example.org/buy")


def test_the_terms_of_the_hub_are_not_those_of_another_artist() -> None:
    assert get_credits(HUB, make_group(creator="Ben")) == Credits("Ben", "Ben")
    # The same name, typed at the work, changes nothing.
    assert get_credits(HUB, make_group(creator="Ada")) == get_credits(HUB)


def test_search_engines_read_only_what_is_known() -> None:
    assert describe_credits(get_credits(make_settings(), make_group())) == {}
    assert not get_credits(make_settings(), make_group())
    assert describe_credits(get_credits(HUB)) == {
        "creator": {"@type": "Person", "name": "Ada"},
        "creditText": "Ada",
        "copyrightNotice": "© Ada",
        "license": TERMS,
        "acquireLicensePage": "https://example.org/buy",
    }


def test_an_address_is_kept_as_it_was_typed() -> None:
    assert tidy_license_url("  ") == ""
    # Its last slash is part of the address of a licence.
    assert tidy_license_url(f" {TERMS}") == TERMS


@pytest.mark.parametrize(
    "typed",
    [
        "example.org",
        "javascript:alert(1)",
        "https://",
        "https://a b",
        'https://a"b',
        "https://" + "a" * 300,
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        tidy_license_url(typed)
    assert set(caught.value.fields) == {"license_url"}
