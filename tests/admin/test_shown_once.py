"""What goes from a form to the page behind it: sealed, once, and not for long."""

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


@pytest.mark.parametrize("age", [0, shown_once.GOOD_FOR_SECONDS + 1])
def test_a_cookie_that_was_kept_says_nothing_later(site: Site, age: int) -> None:
    with site.app.test_request_context():
        g.session_id = 7
        text = json.dumps([7, time.time() - age, {"word": "a secret"}])
        vault = get_clients(site.app).vault
        assert vault is not None
        session["once_token"] = vault.seal(text).decode()
        assert bool(shown_once.take("token")) is (age == 0)


def test_what_was_sealed_with_a_key_that_is_gone_is_nothing(site: Site) -> None:
    with site.app.test_request_context():
        g.session_id = 7
        session["once_token"] = "not sealed by us"
        assert shown_once.take("token") == {}
