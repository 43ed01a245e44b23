"""What goes from a form to the page behind it: sealed, truly once, and not for long."""

import json
import time

import pytest
from flask import g, session

from imagehub.admin import shown_once
from imagehub.wiring import get_clients
from tests.fixtures.site import Site


def test_it_is_there_once_and_nobody_can_read_it_on_the_way(site: Site) -> None:
    with site.app.test_request_context():
        g.session_id = 7
        shown_once.keep("token", word="a secret")
        assert "secret" not in json.dumps(dict(session))
        assert shown_once.take("share") == {}
        assert shown_once.take("token") == {"word": "a secret"}
        assert shown_once.take("token") == {}
        assert dict(session) == {}


def test_a_copy_of_the_cookie_says_nothing_once_it_was_shown(site: Site) -> None:
    with site.app.test_request_context():
        g.session_id = 7
        shown_once.keep("token", word="a secret")
        copy = dict(session)
        assert shown_once.take("token") == {"word": "a secret"}
    for _ in range(2):
        with site.app.test_request_context():
            g.session_id = 7
            session.update(copy)
            assert shown_once.take("token") == {}


def test_two_that_were_kept_one_after_the_other_are_two(site: Site) -> None:
    with site.app.test_request_context():
        g.session_id = 7
        for word in ("the first", "the second"):
            shown_once.keep("token", word=word)
            assert shown_once.take("token") == {"word": word}


@pytest.mark.parametrize("left_seconds", [-1, 60])
def test_a_cookie_that_was_kept_says_nothing_later(site: Site, left_seconds: int) -> None:
    with site.app.test_request_context():
        g.session_id = 7
        text = json.dumps(["a number", 7, time.time() + left_seconds, {"word": "a secret"}])
        vault = get_clients(site.app).vault
        assert vault is not None
        session["once_token"] = vault.seal(text).decode()
        assert bool(shown_once.take("token")) is (left_seconds > 0)


def test_another_sign_in_is_shown_nothing(site: Site) -> None:
    with site.app.test_request_context():
        g.session_id = 7
        shown_once.keep("token", word="a secret")
        g.session_id = 8
        assert shown_once.take("token") == {}


@pytest.mark.parametrize("text", ["not sealed by us", "[7, 1, {}]"])
def test_what_cannot_be_read_is_nothing(site: Site, text: str) -> None:
    with site.app.test_request_context():
        g.session_id = 7
        vault = get_clients(site.app).vault
        assert vault is not None
        is_ours = text.startswith("[")
        session["once_token"] = vault.seal(text).decode() if is_ours else text
        assert shown_once.take("token") == {}
        assert dict(session) == {}
