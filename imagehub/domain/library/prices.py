"""Prices of works: exact amounts, their currency, and who sees them."""

import re
from dataclasses import dataclass
from decimal import Decimal

from imagehub.config_values import CURRENCIES
from imagehub.errors import InvalidInputError
from imagehub.messages import mark
from imagehub.models import Group

FIELDS = ("price", "currency", "price_shown")
# Their values for a work without a price.
NONE = {"price": "", "currency": "", "price_shown": "nowhere"}
# Who sees the price of a work.
SHOWN = {
    "nowhere": mark("Nobody"),
    "public": mark("Everyone"),
    "request": mark("Everyone, as “Price on request”"),
    "share": mark("Only share links"),
}
# The hub's currency is a setting.
CURRENCY_NAMES = {"": mark("The hub’s currency")} | {code: code for code in CURRENCIES}
# What is sold or not for sale has no price any more.
_WITHOUT_PRICE = frozenset({"sold", "not_for_sale"})
_MAX_DIGITS = 12
_FAULT = mark("Enter an amount like 1250 or 1250.50, without the currency.")
# Spaces, thin and no-break ones too, and the apostrophe of Switzerland separate thousands.
_SPACES = re.compile("[\\s'’]")
# With English and with German separators.
_AMOUNTS = tuple(
    re.compile(f"([0-9]+|[0-9]{{1,3}}(?:[{thousands}][0-9]{{3}})+)(?:[{decimal}]([0-9]{{1,2}}))?")
    for thousands, decimal in (",.", ".,")
)


@dataclass(frozen=True)
class Price:
    """An amount, exactly, and the ISO 4217 code of its currency."""

    amount: Decimal
    currency: str

    @property
    def plain(self) -> str:
        """Return the amount for programs: ``1250`` or ``1250.50``."""
        return _write(self.amount)


def tidy_amount(text: str) -> str:
    """Return an amount as it is stored: ``1250``, ``1250.50``; "" for none.

    Reads what people write in English and German: ``1,250.50``, ``1.250,50``, ``1 250``. A single
    separator before three digits separates thousands.

    :raise InvalidInputError: it is no amount above zero, or has more than two decimals.
    """
    text = _SPACES.sub("", text)
    if not text:
        return ""
    found = next((match for one in _AMOUNTS if (match := one.fullmatch(text))), None)
    whole = re.sub("[.,]", "", found[1]) if found else ""
    amount = Decimal(f"{whole}.{found[2] or 0}") if found else Decimal()
    if not amount or len(whole) > _MAX_DIGITS:
        raise InvalidInputError(_FAULT, {"price": "no amount"})
    return _write(amount)


def _write(amount: Decimal) -> str:
    return str(int(amount)) if amount == int(amount) else f"{amount:.2f}"


def is_valid(price: str, currency: str, shown: str) -> bool:
    """Tell whether these are values as they are stored."""
    try:
        is_amount = tidy_amount(price) == price
    except InvalidInputError:
        return False
    return is_amount and currency in CURRENCY_NAMES and shown in SHOWN


def find_price(group: Group, currency: str, *, is_shared: bool = False) -> Price | None:
    """Return the price that visitors of a work's page see, or those of a share link.

    :param currency: the hub's, for works without one of their own.
    """
    is_shown = group.price_shown == "public" or (is_shared and group.price_shown == "share")
    if not group.price or not is_shown or group.availability in _WITHOUT_PRICE:
        return None
    return Price(Decimal(group.price), group.currency or currency)


def is_on_request(group: Group) -> bool:
    """Tell whether visitors are told to ask for the price."""
    return group.price_shown == "request" and group.availability not in _WITHOUT_PRICE
