"""Typed models of forms and addresses."""

from typing import Any

import pytest
from flask import Flask
from pydantic import Field

from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.web.forms import (
    Checkbox,
    Form,
    FormText,
    FormTexts,
    Id,
    Ids,
    OptionalId,
    read_form,
    read_prefixed,
    read_query,
)


class ShareFields(Form):
    group: Ids("group") = Field(default_factory=list)  # type: ignore[valid-type]
    shot: Id("shot") = 1  # type: ignore[valid-type]
    before: OptionalId("page") = None  # type: ignore[valid-type]
    title: FormText = ""
    names: FormTexts = Field(default_factory=list)
    downloads: Checkbox = False


def read(data: dict[str, Any], query: str = "") -> ShareFields:
    with Flask(__name__).test_request_context(f"/{query}", method="POST", data=data):
        return read_form(ShareFields)


def test_fields_have_their_types() -> None:
    fields = read(
        {"group": ["3", "", "12"], "shot": "7", "before": "", "title": " A ", "names": "one"}
        | {"downloads": "", "unknown": "x"}
    )
    assert (fields.group, fields.shot, fields.before) == ([3, 12], 7, None)
    assert (fields.title, fields.names, fields.downloads) == (" A ", ["one"], True)


def test_fields_that_were_not_sent_have_their_defaults() -> None:
    fields = read({})
    assert (fields.group, fields.names, fields.downloads) == ([], [], False)


@pytest.mark.parametrize("text", ["x", "0", "-1", "9" * 5000, "٣", "1.5", " 1", "1\n"])
@pytest.mark.parametrize(
    ("field", "kind"), [("group", "group"), ("shot", "shot"), ("before", "page")]
)
def test_an_invalid_id_is_not_found(field: str, kind: str, text: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        read({field: text})
    assert caught.value.kind == kind


def test_other_errors_are_reported_by_field_without_the_input() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read({"title": "a\0secret"})
    assert caught.value.fields == {"title": "A text cannot hold the character NUL."}


def test_the_first_value_of_a_repeated_plain_field_counts() -> None:
    assert read({"title": ["first", "second"]}).title == "first"


def test_the_query_is_parsed_separately_from_the_form() -> None:
    with Flask(__name__).test_request_context("/?before=5", method="POST", data={"before": "6"}):
        assert read_query(ShareFields).before == 5
        assert read_form(ShareFields).before == 6


def test_fields_named_after_ids() -> None:
    data = {"title-3": "three", "title-x": "no", "title-": "no", "name-4": "no"}
    with Flask(__name__).test_request_context("/", method="POST", data=data):
        assert read_prefixed("title-") == {3: "three"}
