"""Errors, headers, compression, cookies and CORS of all responses."""

import gzip
import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from flask import Flask, request
from sqlalchemy.exc import IntegrityError, OperationalError

from imagehub.database import db
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
    TooManyTriesError,
    UnreadablePictureError,
)
from imagehub.web.errors import STATUS_OF_ERROR
from imagehub.web.headers import get_origin, make_absolute
from tests.fixtures.site import APP_ORIGIN, NAME, PASSWORD, Site, make_site, read_csrf_token

JSON = {"Accept": "application/json"}


def add_view(app: Flask, path: str, view: Callable[..., object]) -> None:
    """Add a public page to an application that has not served a request yet."""
    from imagehub.web import access

    endpoint = "test." + path.strip("/")
    app.add_url_rule(path, endpoint, view)  # type: ignore[arg-type]
    access.PUBLIC_ENDPOINTS = access.PUBLIC_ENDPOINTS | {endpoint}


@pytest.fixture(autouse=True)
def _restore_public_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    from imagehub.web import access

    monkeypatch.setattr(access, "PUBLIC_ENDPOINTS", access.PUBLIC_ENDPOINTS)


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInputError("Bad.", {"title": "too long"}), 422),
        (NotAllowedError("No."), 403),
        (TooManyTriesError(7), 429),
        (NotFoundError("group", 1), 404),
        (ConflictError("Changed."), 409),
        (UnreadablePictureError("Broken."), 422),
        (ConnectionLostError(), 409),
        (ServiceBusyError("OneDrive", "list", retry_after_seconds=6.6), 503),
        (ServiceRefusedError("OneDrive", "list", "bad_answer"), 502),
    ],
)
def test_each_error_has_its_status_and_one_shape(
    site: Site, error: ImageHubError, status: int
) -> None:
    def fail() -> None:
        raise error

    add_view(site.app, "/fail", fail)
    page = site.get("/fail")
    assert page.status_code == status
    assert page.mimetype == "text/html"
    assert str(error) in page.text
    assert page.headers["Cache-Control"] == "no-store"
    answer = site.get("/fail", headers=JSON)
    assert answer.status_code == status
    assert list(answer.json) == ["detail"]
    if isinstance(error, InvalidInputError):
        assert answer.json["detail"] == [
            {"loc": ["title"], "msg": "too long", "type": "value_error"}
        ]
    else:
        assert answer.json["detail"] == str(error)
    if isinstance(error, ServiceBusyError | TooManyTriesError):
        assert answer.headers["Retry-After"] == "7"


def test_every_error_class_has_a_status() -> None:
    def walk(kind: type[ImageHubError]) -> list[type[ImageHubError]]:
        return [kind, *(deeper for child in kind.__subclasses__() for deeper in walk(child))]

    listed = tuple(kind for kind, _ in STATUS_OF_ERROR)
    # Views cannot meet the errors of programs, from a layer above them.
    leaves = [
        kind
        for kind in walk(ImageHubError)
        if not kind.__subclasses__() and not kind.__module__.startswith("imagehub.runtime.")
    ]
    missing = [k.__name__ for k in leaves if not issubclass(k, listed)]
    assert not missing, f"give these a status in web.STATUS_OF_ERROR: {missing}"


def test_an_unexpected_error_shows_only_a_number(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("secret detail")

    add_view(site.app, "/fail", fail)
    for headers in ({}, JSON):
        answer = site.get("/fail", headers=headers)
        assert answer.status_code == 500
        assert "secret detail" not in answer.text
        number = answer.headers["X-Request-Id"]
        assert number in answer.text
        assert f"[{number}] unexpected error" in caplog.text


def test_an_unreachable_database_is_503(site: Site) -> None:
    def fail() -> None:
        raise OperationalError("SELECT secret", {}, Exception("gone away"))

    add_view(site.app, "/fail", fail)
    page = site.get("/fail")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "30")
    assert "secret" not in page.text
    answer = site.get("/fail", headers=JSON)
    assert answer.status_code == 503
    assert list(answer.json) == ["detail"]


def test_database_errors_do_not_contain_parameters(site: Site) -> None:
    """Such errors are logged with their whole text."""
    with site.session() as session, pytest.raises(IntegrityError) as caught:
        session.execute(
            db.text(
                'INSERT INTO "user" (name, name_key, password_hash, credentials_version) '
                "VALUES ('x', 'ada', :secret, 1)"
            ),
            {"secret": "scrypt:hash"},
        )
    assert "scrypt:hash" not in str(caught.value)


def test_pages_for_signed_in_users_are_503_without_a_database(
    site: Site,
) -> None:
    client = site.signed_in_client()
    with site.session() as session:
        session.execute(db.text('ALTER TABLE "user" RENAME TO away'))
    answer = client.get("/admin/onedrive/callback")
    assert answer.status_code == 503
    assert "Temporarily not available" in answer.text


def test_an_unknown_address_is_404_as_page_and_as_json(site: Site) -> None:
    page = site.get("/no/such/thing")
    assert page.status_code == 404
    assert "There is nothing at this address." in page.text
    assert site.get("/no/such/thing", headers=JSON).json == {
        "detail": "There is nothing at this address."
    }


def test_an_error_page_links_to_the_previous_page(site: Site) -> None:
    to_admin, to_gallery = 'class="button" href="/admin/"', 'class="button" href="/"'
    page = site.signed_in_client().get("/admin/library/4711").text
    assert to_admin in page and to_gallery not in page
    page = site.get("/groups/4711").text
    assert to_gallery in page and to_admin not in page


def test_an_error_page_of_the_admin_keeps_its_navigation(site: Site) -> None:
    navigation, sign_out = '<nav class="rail-nav"', 'action="/sign-out"'
    for path in ("/admin/library/4711", "/admin/no/such/thing"):
        answer = site.signed_in_client().get(path)
        assert answer.status_code == 404
        assert navigation in answer.text and sign_out in answer.text
        assert read_csrf_token(site.signed_in_client(), path)
        # Whoever is not signed in sees none of it.
        assert navigation not in site.get(path).text
    assert navigation not in site.signed_in_client().get("/groups/4711").text


def test_a_lost_connection_error_links_to_the_connection_page(site: Site) -> None:
    client = site.signed_in_client()
    answer = client.get("/admin/connection/root-folder")
    assert answer.status_code == 409
    assert 'class="button" href="/admin/connection"' in answer.text


def test_a_wrong_method_is_405_in_json_for_api_paths(site: Site) -> None:
    answer = site.post("/image/page", headers={"Origin": APP_ORIGIN})
    assert answer.status_code == 405
    assert list(answer.json) == ["detail"]
    assert "GET" in answer.headers["Allow"]
    assert answer.headers["Access-Control-Allow-Origin"] == APP_ORIGIN


# --- Headers --------------------------------------------------------------------------------------


def test_every_response_has_security_headers(site: Site) -> None:
    for path in ("/sign-in", "/image/total-page", "/no/such/thing", "/health", "/openapi.json"):
        headers = site.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Request-Id"]
    page = site.get("/sign-in")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("graph_url", "addresses"),
    [
        (
            "https://graph.microsoft.com/v1.0",
            [
                "https://api.onedrive.com/rup/0123456789abcdef/up",
                "https://abcdef.up.1drv.com/up/4y",
                "https://my.microsoftpersonalcontent.com/personal/0123456789abcdef/_api/v2.0",
                "https://contoso-my.sharepoint.com/personal/ada/_api/v2.0",
            ],
        ),
        ("https://graph.microsoft.us/v1.0", ["https://contoso-my.sharepoint.us/personal/ada"]),
        (
            "https://dod-graph.microsoft.us/v1.0",
            ["https://army-my.sharepoint-mil.us/personal/ada", "https://army-my.dps.mil/personal"],
        ),
        (
            "https://microsoftgraph.chinacloudapi.cn/v1.0",
            ["https://contoso-my.sharepoint.cn/personal/ada"],
        ),
        ("http://127.0.0.1:8931/v1.0", ["http://127.0.0.1:8931/v1.0/uploadSession/1"]),
    ],
)
def test_the_csp_allows_the_upload_hosts_of_the_configured_graph(
    tmp_path: Path, graph_url: str, addresses: list[str]
) -> None:
    page = make_site(tmp_path / "cloud", graph_base_url=graph_url).get("/sign-in")
    policy = page.headers["Content-Security-Policy"]
    sources = re.search(r"connect-src ([^;]+)", policy)
    assert sources is not None
    for address in addresses:
        origin = get_origin(address)
        assert any(fnmatch(origin, source) for source in sources[1].split()), address


def test_https_hubs_send_hsts(site: Site, tmp_path: Path) -> None:
    assert "Strict-Transport-Security" not in site.get("/health").headers
    base = "https://hub.example.org"
    secure = make_site(tmp_path / "secure", public_url=base)
    assert "Strict-Transport-Security" in secure.get("/health", base_url=base).headers
    assert "Strict-Transport-Security" not in secure.get("/health").headers


def test_pages_for_signed_in_users_are_not_cached(site: Site) -> None:
    answer = site.signed_in_client().get("/no/such/thing")
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_absolute_addresses_use_the_public_url(site: Site, tmp_path: Path) -> None:
    with site.app.test_request_context("/", base_url="http://192.0.2.7:8000"):
        assert make_absolute("/media/1") == "http://192.0.2.7:8000/media/1"
    public = make_site(tmp_path / "public", public_url="https://example.org/hub")
    with public.app.test_request_context("/", base_url="http://10.0.0.1:8000"):
        assert make_absolute("/media/1") == "https://example.org/hub/media/1"
    with public.app.test_request_context("/", base_url="http://10.0.0.1:8000/hub"):
        assert make_absolute("/hub/media/1") == "https://example.org/hub/media/1"


# --- Compression ----------------------------------------------------------------------------------


def add_text_view(app: Flask, size: int, **headers: str) -> None:
    def view() -> object:
        if request.args.get("form"):
            from flask_wtf.csrf import generate_csrf

            generate_csrf()
        return "a" * size, 200, {"Content-Type": "text/html", **headers}

    add_view(app, "/text", view)


def is_compressed(site: Site, path: str = "/text", accept: str = "gzip, br") -> bool:
    answer = site.get(path, headers={"Accept-Encoding": accept})
    answer.close()
    if answer.headers.get("Content-Encoding") != "gzip":
        return False
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert gzip.decompress(answer.data)
    return True


def test_pages_for_strangers_are_compressed(site: Site) -> None:
    add_text_view(site.app, 5000)
    assert is_compressed(site)
    assert not is_compressed(site, accept="")
    assert not is_compressed(site, accept="br")
    assert not is_compressed(site, accept="gzip;q=0")


def test_small_answers_are_not_compressed(site: Site) -> None:
    add_text_view(site.app, 400)
    assert not is_compressed(site)


def test_a_page_with_a_form_is_not_compressed(site: Site) -> None:
    """The compressed length could reveal its CSRF token (BREACH)."""
    add_text_view(site.app, 5000)
    assert not is_compressed(site, "/text?form=1")
    assert not is_compressed(site, "/sign-in")


def test_pages_for_signed_in_users_are_not_compressed(site: Site) -> None:
    add_text_view(site.app, 5000)
    answer = site.signed_in_client().get("/text", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers


def test_answers_to_tokens_are_not_compressed(site: Site) -> None:
    for _ in range(20):
        site.add_group(["a.jpg"] * 1)
    answer = site.get("/admin/groups/images", headers={**site.bearer(), "Accept-Encoding": "gzip"})
    assert len(answer.data) > 500
    assert "Content-Encoding" not in answer.headers


def test_static_text_is_compressed_and_revalidated_cheaply(site: Site, tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "style.css").write_text("body { color: red }\n" * 100)
    (tmp_path / "static" / "photo.png").write_bytes(b"\x89PNG" + b"0" * 5000)
    site.app.static_folder = str(tmp_path / "static")
    assert is_compressed(site, "/static/style.css")
    assert not is_compressed(site, "/static/photo.png")
    packed = site.get("/static/style.css", headers={"Accept-Encoding": "gzip"})
    packed.close()
    again = site.get(
        "/static/style.css",
        headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]},
    )
    again.close()
    assert again.status_code == 304
    part = site.get("/static/style.css", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (part.status_code, part.data) == (206, b"body { col")
    part.close()
    head = site.client().head("/static/style.css", headers={"Accept-Encoding": "gzip"})
    head.close()
    assert (head.status_code, head.data) == (200, b"")


# --- The session's cookie -------------------------------------------------------------------------


def test_files_and_calls_do_not_renew_the_session_cookie(site: Site) -> None:
    client = site.client()
    token = read_csrf_token(client)
    form = {"name": NAME, "password": PASSWORD, "csrf_token": token, "remember": "on"}
    client.post("/sign-in", data=form)
    client.get("/admin/account")
    page = client.get("/admin/account")
    assert "hub=" in page.headers["Set-Cookie"], "its end moves on with each page"
    assert "Cookie" in page.headers["Vary"]
    for path in ("/static/css/site.css", "/robots.txt", "/image/total-page", "/admin/home/jobs"):
        with client.get(path) as answer:
            assert answer.status_code == 200
            assert "Set-Cookie" not in answer.headers, path
    for path in ("/static/css/site.css", "/robots.txt"):
        with client.get(path) as answer:
            assert "Cookie" not in answer.headers.get("Vary", ""), path


def test_responses_to_admins_are_not_cached(site: Site) -> None:
    client = site.signed_in_client()
    for path in ("/admin/", "/admin/home/jobs", "/", "/nothing/here"):
        assert "no-store" in client.get(path).headers["Cache-Control"], path
    assert "no-store" in site.get("/admin/home/jobs").headers["Cache-Control"]


# --- Cross-origin ---------------------------------------------------------------------------------


def ask(site: Site, origin: str, path: str = "/image/total-page") -> dict[str, str]:
    return dict(site.get(path, headers={"Origin": origin}).headers)


def test_listed_origins_may_read_answers_and_others_may_not(site: Site) -> None:
    headers = ask(site, APP_ORIGIN)
    assert headers["Access-Control-Allow-Origin"] == APP_ORIGIN
    assert "Access-Control-Allow-Credentials" not in headers
    assert "Origin" in headers["Vary"]
    for origin in (
        "https://evil.example",
        "null",
        APP_ORIGIN + ".evil.example",
        "http://app.example.org",
    ):
        headers = ask(site, origin)
        assert "Access-Control-Allow-Origin" not in headers
        assert "Origin" in headers["Vary"], "caches must not hand this to the listed origin"


def test_pages_are_not_shared_with_other_origins(site: Site) -> None:
    assert "Access-Control-Allow-Origin" not in ask(site, APP_ORIGIN, "/sign-in")


def test_a_star_allows_calls_from_all_origins_without_credentials(tmp_path: Path) -> None:
    site = make_site(tmp_path, cors_origins="*")
    headers = ask(site, "https://anybody.example")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in headers


def test_without_the_setting_no_origin_is_allowed(tmp_path: Path) -> None:
    site = make_site(tmp_path, cors_origins="")
    assert "Access-Control-Allow-Origin" not in ask(site, APP_ORIGIN)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/admin/onedrive/folders", "GET"),
        ("/admin/add/image", "POST"),
        ("/login/", "POST"),
        ("/login", "POST"),
        ("/admin/onedrive/rename", "POST"),
    ],
)
def test_a_preflight_allows_the_token_and_json(site: Site, path: str, method: str) -> None:
    answer = site.client().options(
        path,
        headers={
            "Origin": APP_ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == APP_ORIGIN
    assert method in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed


def test_a_preflight_of_another_origin_allows_nothing(site: Site) -> None:
    answer = site.client().options(
        "/admin/add/image",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_errors_can_be_read_by_the_single_page_app(site: Site) -> None:
    answer = site.get("/image/page?page=x", headers={"Origin": APP_ORIGIN})
    assert answer.status_code == 422
    assert answer.headers["Access-Control-Allow-Origin"] == APP_ORIGIN
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
