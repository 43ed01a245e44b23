"""Prices: how amounts are read, and who sees them."""

from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from imagehub.domain.library import bulk, groups, prices
from imagehub.domain.library.bulk import BulkEdit
from imagehub.errors import InvalidInputError
from imagehub.models import Group
from tests.domain.library.editing import save
from tests.fixtures.site import Site


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ""),
        ("1250", "1250"),
        ("0001250.00", "1250"),
        ("1,250.5", "1250.50"),
        ("1.250,50", "1250.50"),
        ("1\N{NARROW NO-BREAK SPACE}250,50", "1250.50"),
        ("12’500", "12500"),
        ("1.250", "1250"),
        ("1,250", "1250"),
        ("1,250,000", "1250000"),
        ("0.10", "0.10"),
        ("999999999999.99", "999999999999.99"),
    ],
)
def test_an_amount_is_read_as_people_write_it(typed: str, kept: str) -> None:
    assert prices.tidy_amount(typed) == kept
    assert prices.tidy_amount(kept) == kept


@pytest.mark.parametrize(
    "typed", ["0", "-5", "€5", "1e3", "5.125,555", "12,50,000", "1.", ".5", "NaN", "٣", "1" * 13]
)
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        prices.tidy_amount(typed)
    assert set(caught.value.fields) == {"price"}


@pytest.mark.parametrize(
    ("shown", "availability", "everyone", "shared", "on_request"),
    [
        ("nowhere", "available", False, False, False),
        ("public", "available", True, True, False),
        ("public", "", True, True, False),
        ("public", "reserved", True, True, False),
        ("public", "sold", False, False, False),
        ("share", "available", False, True, False),
        ("share", "not_for_sale", False, False, False),
        ("request", "available", False, False, True),
        ("request", "sold", False, False, False),
    ],
)
def test_a_price_is_seen_by_those_who_may(
    shown: str, availability: str, everyone: bool, shared: bool, on_request: bool
) -> None:
    group = Group(price="0.30", currency="", price_shown=shown, availability=availability)
    price = prices.Price(Decimal("0.30"), "CHF")
    assert prices.find_price(group, "CHF") == (price if everyone else None)
    assert prices.find_price(group, "CHF", is_shared=True) == (price if shared else None)
    assert prices.is_on_request(group) == on_request


def test_an_amount_stays_exact_on_both_databases(
    either_site: Site, either_session: Session
) -> None:
    number = either_site.add_group()
    group = groups.get_group(either_session, number)
    assert (group.price, group.currency, group.price_shown) == ("", "", "nowhere")
    save(either_session, number, price="9.007.199.254,93", currency="JPY", price_shown="share")
    either_session.commit()
    either_session.expire_all()
    found = prices.find_price(group, "EUR", is_shared=True)
    assert found == prices.Price(Decimal("9007199254.93"), "JPY")


@pytest.mark.parametrize("change", [{"currency": "eur"}, {"price_shown": "everyone"}])
def test_only_known_choices_are_saved(site: Site, change: dict[str, str]) -> None:
    number = site.add_group()
    with site.session() as session, pytest.raises(InvalidInputError):
        save(session, number, **change)


def test_many_groups_get_a_price_at_once(site: Site) -> None:
    numbers = [site.add_group() for _ in range(2)]
    change = BulkEdit({"price": "1,200", "currency": "USD", "price_shown": "public"})
    with site.session() as session:
        assert bulk.edit_groups(session, numbers, change) == 2
        assert bulk.edit_groups(session, numbers, change) == 0
        assert [groups.get_group(session, one).price for one in numbers] == ["1200", "1200"]


def test_joining_takes_an_amount_with_its_currency_and_keeps_it_hidden(site: Site) -> None:
    kept, gone = site.add_group(["a.jpg"]), site.add_group(["b.jpg"])
    with site.session() as session:
        save(session, kept, currency="USD")
        save(session, gone, price="70", price_shown="public")
        group, _ = bulk.join_groups(session, [kept, gone], None)
        assert (group.price, group.currency, group.price_shown) == ("70", "", "nowhere")
