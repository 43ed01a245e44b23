"""What the tests of the admin pages share: sending forms as a browser does."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.fixtures.site import read_csrf_token


def send(
    client: FlaskClient, path: str, seen_on: str = "/admin/account", **fields: Any
) -> TestResponse:
    """Post a form with its token; ``seen_on`` is the page that it stands on."""
    token = read_csrf_token(client, seen_on)
    return client.post(path, data={"csrf_token": token, **fields})


def follow(client: FlaskClient, answer: TestResponse) -> TestResponse:
    """The page that a form leads to once it has done its work, so that a reload does it no more."""
    assert answer.status_code == 303, answer.text
    return client.get(answer.location)


def read_toasts(client: FlaskClient, path: str = "/admin/account") -> str:
    """What the next page says that was done."""
    html = client.get(path).text
    return html.split('id="toasts"', 1)[1].split("<dialog", 1)[0]
