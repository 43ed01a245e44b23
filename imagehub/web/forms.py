"""Read forms, addresses and JSON of our own pages into typed models.

The same kind of model serves the single-page app's calls, see ``web.openapi``.
"""

import re
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Annotated, Any, TypeVar, get_origin

from flask import request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from werkzeug.datastructures import MultiDict

from imagehub.config_values import read_day as read_plain_day
from imagehub.database import MAX_ID
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import mark
from imagehub.web.limits import refuse_deep_json

# As many digits as the highest id has: `int` takes quadratic time, and refuses over 4,300 digits.
_NUMBER = re.compile(r"[0-9]{1,19}")
_MAX_TEXT_CHARS = 100_000


class Form(BaseModel):
    """The base of models that a form or an address is read into. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


Fields = TypeVar("Fields", bound=BaseModel)


# --- Types of fields ------------------------------------------------------------------------------


def find_number(text: str) -> int | None:
    """Read an id in ASCII digits; None if no object can have it."""
    if not _NUMBER.fullmatch(text):
        return None
    number = int(text)
    return number if 0 < number <= MAX_ID else None


def read_number(text: object, kind: str = "group") -> int:
    """Read the id of an object that must exist.

    :param kind: what the id belongs to, as in :class:`NotFoundError`.
    :raise NotFoundError: the text is no id, so there is nothing with this id.
    """
    number = find_number(str(text))
    if number is None:
        raise NotFoundError(kind, str(text)[:40])
    return number


def _read_optional_number(text: object, kind: str) -> int | None:
    return None if text in (None, "") else read_number(text, kind)


def _read_numbers(texts: object, kind: str) -> list[int]:
    given = texts if isinstance(texts, list) else [texts]
    return [read_number(text, kind) for text in given if text not in (None, "")]


def _refuse_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("A text cannot hold the character NUL.")
    return text


def Id(kind: str) -> Any:
    """Annotate the id of an object that must exist, else NotFoundError(kind)."""
    return Annotated[int, BeforeValidator(partial(read_number, kind=kind))]


def OptionalId(kind: str) -> Any:
    """Annotate an id that may be empty, which is None."""
    return Annotated[int | None, BeforeValidator(partial(_read_optional_number, kind=kind))]


def Ids(kind: str) -> Any:
    """Annotate a field sent several times: ids in order, without empty ones."""
    return Annotated[list[int], BeforeValidator(partial(_read_numbers, kind=kind))]


# A text as it was typed. The domain trims it and holds its limits.
FormText = Annotated[str, Field(max_length=_MAX_TEXT_CHARS), AfterValidator(_refuse_nul)]
# A field that is sent several times.
FormTexts = list[FormText]
# Where a page of a list begins; 0 for the beginning, also if the text is no number.
PageStart = Annotated[int, BeforeValidator(lambda text: find_number(str(text)) or 0)]
# True if the box is checked: browsers send nothing for an unchecked one.
Checkbox = Annotated[bool, BeforeValidator(lambda value: value is not None and value is not False)]


# --- Reading --------------------------------------------------------------------------------------


def read_form(model: type[Fields]) -> Fields:
    """Read the form of this request.

    :raise InvalidInputError: ``fields`` names each wrong field.
    :raise NotFoundError: a field holds an id that nothing can have.
    """
    return _validate(model.model_validate, flatten(model, request.form))


def read_query(model: type[Fields]) -> Fields:
    """Read the query of this request's address. Raises as :func:`read_form`."""
    return _validate(model.model_validate, flatten(model, request.args))


def read_json(model: type[Fields]) -> Fields:
    """Read the JSON body of this request. Raises as :func:`read_form`.

    :raise BadRequest: the JSON is nested too deeply.
    """
    return _validate(model.model_validate_json, request.get_data(cache=False))


def read_prefixed(prefix: str) -> dict[int, str]:
    """Read the form's fields that are named after ids: ``title-12`` is 12 → its text.

    Names whose rest is no id are left out.
    """
    return {
        number: text
        for name, text in request.form.items()
        if name.startswith(prefix) and (number := find_number(name.removeprefix(prefix)))
    }


def read_day(text: str, field: str) -> date | None:
    """Read a day as browsers send it; None for an empty text.

    :param field: named by the error.
    :raise InvalidInputError: it is no day.
    """
    try:
        return read_plain_day(text)
    except ValueError:
        fault = mark("Enter a date like 2027-05-31.")
        raise InvalidInputError(fault, {field: fault}) from None


def flatten(
    model: type[BaseModel], values: MultiDict[str, str], *, keep_repeated: bool = False
) -> dict[str, Any]:
    """Pick the model's fields out of a form or query.

    A field of a list type gets all its values, any other field its first value.

    :param keep_repeated: give repeated fields as lists, which types other than lists refuse.
    """
    flat: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if found := values.getlist(field.alias or name):
            is_list = get_origin(field.annotation) is list or (keep_repeated and len(found) > 1)
            flat[field.alias or name] = found if is_list else found[0]
    return flat


def _validate(validate: Callable[[Any], Fields], values: Any) -> Fields:
    try:
        return validate(values)
    except ValidationError as error:
        # The input itself is not quoted.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        refuse_deep_json(found)
        faults = {
            ".".join(map(str, fault["loc"])) or "body": fault["msg"].removeprefix("Value error, ")
            for fault in found
        }
        raise InvalidInputError("Please check what you entered.", faults) from error
