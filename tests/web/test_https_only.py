"""Plain http at a hub in production."""

import shutil
from collections.abc import Callable
from io import RawIOBase
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from imagehub.models import AuditEntry, SignInFailure, SignInSession
from tests.fixtures.site import NAME, PASSWORD, Site, make_site

HTTPS = "https://hub.example.org"
HTTP = "http://hub.example.org"
CREDENTIALS = {"username": NAME, "password": PASSWORD}


class Unread(RawIOBase):
    """A body that nobody may read."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: Any) -> int:
        raise AssertionError("the body was read")


@pytest.fixture
def make_public(tmp_path: Path, site_folder: Path) -> Callable[..., Site]:
    """Return a function that makes a site in production, with an admin."""

    def make(**settings: str) -> Site:
        shutil.copytree(site_folder, tmp_path / "site")
        usual = {
            "env": "production",
            "public_url": HTTPS,
            "secret_key": "s" * 40,
            "token_key": Fernet.generate_key().decode(),
        }
        return make_site(tmp_path / "site", **usual | settings)

    return make


@pytest.fixture
def public(make_public: Callable[..., Site]) -> Site:
    return make_public()


def sign_in(client: FlaskClient) -> None:
    page = client.get("/sign-in", base_url=HTTPS).text
    token = page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    answer = client.post(
        "/sign-in",
        base_url=HTTPS,
        headers={"Referer": f"{HTTPS}/sign-in"},
        data={"name": NAME, "password": PASSWORD, "csrf_token": token, "remember": "on"},
    )
    assert answer.status_code == 302


def assert_redirected(answer: TestResponse, location: str) -> None:
    assert answer.status_code == 308
    assert answer.location == location
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert "Strict-Transport-Security" not in answer.headers


# --- Redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/", "", "/"),
        ("/groups/7", "a=b%26c&d=%C3%BC", "/groups/7?a=b%26c&d=%C3%BC"),
        ("/tags/a?b #ü%", "", "/tags/a%3Fb%20%23%C3%BC%25"),
        ("/no/such/page", "x", "/no/such/page?x"),
        ("/sign-in", "next=/admin/library", "/sign-in?next=/admin/library"),
        ("/image/page", "page=1", "/image/page?page=1"),
        ("//evil.example/x", "", "/evil.example/x"),
        ("@evil.example/x", "", "/@evil.example/x"),
        ("/a\r\nSet-Cookie: x=1", "", "/a%0D%0ASet-Cookie:%20x=1"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_readers_are_redirected_to_the_same_path_and_query(
    public: Site, method: str, path: str, query: str, location: str
) -> None:
    raw = {"PATH_INFO": path.encode().decode("latin1"), "QUERY_STRING": query}
    answer = public.client().open("/", method=method, base_url=HTTP, environ_overrides=raw)
    assert_redirected(answer, HTTPS + location)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8000", "hub.example.org:8000"])
def test_the_host_of_the_request_does_not_matter(
    make_public: Callable[..., Site], host: str
) -> None:
    site = make_public(proxy_count="1")
    headers = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "http"}
    assert_redirected(site.get("/groups/7", headers=headers), f"{HTTPS}/groups/7")


def test_a_hub_below_a_path_redirects_below_it(make_public: Callable[..., Site]) -> None:
    site = make_public(public_url="https://example.org/art")
    answer = site.get("/groups/7", base_url="http://example.org/art")
    assert_redirected(answer, "https://example.org/art/groups/7")


def test_a_page_that_was_kept_for_https_is_not_sent_over_http(public: Site) -> None:
    for _ in range(2):
        assert public.get("/", base_url=HTTPS).status_code == 200
    assert_redirected(public.get("/", base_url=HTTP), f"{HTTPS}/")


def test_a_hub_in_development_serves_plain_http(tmp_path: Path, site_folder: Path) -> None:
    shutil.copytree(site_folder, tmp_path / "site")
    site = make_site(tmp_path / "site", public_url=HTTPS)
    assert site.get("/", base_url="http://127.0.0.1:8000").status_code == 200


# --- Refusals -------------------------------------------------------------------------------------


def test_a_form_is_refused_before_it_is_read(public: Site) -> None:
    answer = public.post(
        "/sign-in",
        base_url=HTTP,
        content_type="application/x-www-form-urlencoded",
        environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "100"},
    )
    assert answer.status_code == 403
    assert f"Only https is accepted here: {HTTPS}." in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "/login/", {"json": CREDENTIALS}),
        ("GET", "/login/", {"query_string": CREDENTIALS}),
        ("HEAD", "/login/", {"query_string": CREDENTIALS}),
        ("GET", "/login", {"query_string": CREDENTIALS}),
        ("GET", "/auth", {"headers": {"Authorization": "Bearer abc"}}),
        ("GET", "/", {"headers": {"Authorization": "Basic abc"}}),
        ("POST", "/admin/delete/image", {"json": {"image_list": {}}}),
        ("OPTIONS", "/image/page", {}),
        ("PUT", "/no/such/page", {}),
    ],
)
def test_what_may_contain_a_secret_is_refused(
    public: Site, method: str, path: str, options: dict[str, Any]
) -> None:
    answer = public.client().open(path, method=method, base_url=HTTP, **options)
    assert answer.status_code == 403
    assert answer.location is None
    assert answer.headers["Cache-Control"] == "no-store"
    assert PASSWORD not in answer.text
    if path.startswith(("/login", "/auth")) and method != "HEAD":
        assert HTTPS in answer.json["detail"]
    with public.session() as session:
        for model in (SignInSession, SignInFailure, AuditEntry):
            assert session.query(model).count() == 0


def test_a_session_is_neither_used_nor_renewed(public: Site) -> None:
    client = public.client()
    sign_in(client)
    cookie = client.get_cookie("__Host-hub", "hub.example.org")
    assert cookie is not None
    headers = {"Cookie": f"__Host-hub={cookie.value}"}
    stolen = public.app.test_client(use_cookies=False)
    assert stolen.get("/admin/account", base_url=HTTPS, headers=headers).status_code == 200
    page = stolen.get("/admin/account", base_url=HTTP, headers=headers)
    assert_redirected(page, f"{HTTPS}/admin/account")
    form = stolen.post("/admin/account/name", base_url=HTTP, headers=headers)
    assert form.status_code == 403
    assert "Set-Cookie" not in form.headers
    assert "csrf" not in form.text


# --- Proxies, health, HSTS ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy_count", "said", "status"),
    [
        ("0", "http", 308),
        ("0", "https", 403),
        ("1", "https", 200),
        ("1", "http", 308),
        ("1", "https, http", 308),
        ("1", "", 308),
        ("2", "https", 403),
        ("2", "https, http", 200),
    ],
)
def test_a_proxy_is_believed_as_far_as_the_setting_says(
    make_public: Callable[..., Site], proxy_count: str, said: str, status: int
) -> None:
    """A redirect would be answered by the same again where the visitor did use https."""
    site = make_public(proxy_count=proxy_count)
    answer = site.get("/sign-in", base_url=HTTP, headers={"X-Forwarded-Proto": said})
    assert answer.status_code == status
    assert ("IMAGEHUB_PROXY_COUNT" in answer.text) == (status == 403)


def test_health_is_told_over_plain_http(public: Site) -> None:
    for path in ("/health", "/healthz"):
        answer = public.get(path, base_url="http://127.0.0.1:8000")
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})
        assert "Strict-Transport-Security" not in answer.headers
    answer = public.get("/readyz", base_url="http://127.0.0.1:8000")
    assert answer.json["checks"]["database"] == "ok"


@pytest.mark.parametrize(
    ("hsts", "value"),
    [
        ("", "max-age=31536000"),
        ("host", "max-age=31536000"),
        ("subdomains", "max-age=31536000; includeSubDomains"),
        ("preload", "max-age=31536000; includeSubDomains; preload"),
    ],
)
def test_subdomains_and_preload_are_named_in_hsts_on_request(
    make_public: Callable[..., Site], hsts: str, value: str
) -> None:
    answer = make_public(hsts=hsts).get("/sign-in", base_url=HTTPS)
    assert answer.headers["Strict-Transport-Security"] == value
