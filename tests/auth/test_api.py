"""Signing in with JSON: tokens, and what guards them."""

from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from imagehub.domain.people import throttle, tokens
from tests.fixtures.site import APP_ORIGIN, NAME, PASSWORD, Site, make_site

WRONG = {"code": 1, "hint": "username or password did not match"}


def log_in(
    site: Site, name: str = NAME, password: str = PASSWORD, address: str = "192.0.2.1"
) -> TestResponse:
    return site.post(
        "/login/",
        json={"username": name, "password": password},
        environ_base={"REMOTE_ADDR": address},
    )


def expect_refused(answer: TestResponse) -> None:
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert list(answer.json) == ["detail"]
    assert isinstance(answer.json["detail"], str)


# --- /login/ --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/login/", "/login"])
@pytest.mark.parametrize("way", ["query", "json", "form", "multipart"])
def test_the_right_password_gets_a_token(site: Site, path: str, way: str) -> None:
    fields = {"username": "ada", "password": PASSWORD}
    if way == "query":
        answer = site.get(path, query_string=fields)
    elif way == "json":
        answer = site.post(path, json=fields)
    elif way == "form":
        answer = site.post(path, data=fields)
    else:
        answer = site.post(path, data=fields, content_type="multipart/form-data")
    assert answer.status_code == 200
    assert list(answer.json) == ["code", "token"]
    assert answer.json["code"] == 2
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    token = answer.json["token"]
    checked = site.get("/auth", headers={"Authorization": f"Bearer {token}"})
    assert checked.json == {"code": 1, "hint": "valid_jwt_token"}


@pytest.mark.parametrize("name", [NAME, "Nobody", "", "\u00e9" * 500])
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(site: Site, name: str) -> None:
    answer = log_in(site, name, "wrong")
    assert answer.status_code == 200
    assert answer.json == WRONG


def test_a_token_is_never_packed(site: Site) -> None:
    """What is packed beside a secret tells about it by its length."""
    answer = site.post(
        "/login/",
        json={"username": NAME, "password": PASSWORD},
        headers={"Accept-Encoding": "gzip"},
    )
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    ("body", "kind", "faults"),
    [
        (b"", "application/json", [((), "json_invalid")]),
        (b"{", "application/json", [((), "json_invalid")]),
        (b"[]", "application/json", [((), "model_type")]),
        (b"null", "application/json", [((), "model_type")]),
        (b'{"username": "\xff", "password": "x"}', "application/json", [((), "json_invalid")]),
        (b'{"username": "\\ud800", "password": "x"}', "application/json", [((), "json_invalid")]),
        (b'{"username": ["Ada"]}', "application/json",
         [(("username",), "string_type"), (("password",), "missing")]),
        (b'{"username": null, "password": 1e999}', "application/json",
         [(("username",), "string_type"), (("password",), "string_type")]),
        (b'{"username": "a\\u0000", "password": "x"}', "application/json",
         [(("username",), "string_nul")]),
        (b'{"username": "' + b"a" * 5000 + b'", "password": "x"}', "application/json",
         [(("username",), "string_too_long")]),
        (b"username=a", "application/x-www-form-urlencoded", [(("password",), "missing")]),
        (b"username=a&username=b&password=c", "application/x-www-form-urlencoded",
         [(("username",), "string_type")]),
        (b"username=%00&password=%ff", "application/x-www-form-urlencoded",
         [(("username",), "string_nul")]),
        (b"no parts", "multipart/form-data",
         [(("username",), "missing"), (("password",), "missing")]),
        (b"username=a&password=b", "text/plain", [((), "content_type")]),
        (b'{"username": "a", "password": "b"}', "text/json", [((), "content_type")]),
        (b'{"username": "a", "password": "b"}', "nonsense", [((), "content_type")]),
        (b"", None, [(("username",), "missing"), (("password",), "missing")]),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_used_says_why(
    site: Site, body: bytes, kind: str | None, faults: list[tuple[tuple[str, ...], str]]
) -> None:
    answer = site.post("/login/", data=body, content_type=kind)
    assert answer.status_code == 422, answer.text
    found = [(tuple(entry["loc"][1:]), entry["type"]) for entry in answer.json["detail"]]
    assert all(entry["loc"][0] == "body" for entry in answer.json["detail"])
    assert found == faults


def test_a_body_larger_than_any_is_413(site: Site) -> None:
    answer = site.post("/login/", data=b"x" * (5 * 1024 * 1024), content_type="application/json")
    assert answer.status_code == 413
    assert list(answer.json) == ["detail"]


def test_missing_query_fields_are_named(site: Site) -> None:
    answer = site.get("/login/?username=ada")
    assert answer.status_code == 422
    assert [entry["loc"] for entry in answer.json["detail"]] == [["query", "password"]]


def test_signing_in_by_an_address_can_be_switched_off(tmp_path: Path) -> None:
    site = make_site(tmp_path, get_sign_in="off")
    for method in ("GET", "HEAD"):
        answer = site.client().open(
            "/login/", method=method, query_string={"username": NAME, "password": PASSWORD}
        )
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "POST"
        assert "token" not in answer.text
    credentials = {"username": NAME, "password": PASSWORD}
    assert site.post("/login/", json=credentials).json["code"] == 2


@pytest.mark.usefixtures("long_waits")
@pytest.mark.parametrize("name", [NAME, "Nobody"])
def test_too_many_failures_for_a_name_are_429(site: Site, name: str) -> None:
    for i in range(5):
        assert log_in(site, name, "wrong", f"192.0.2.{i}").json == WRONG
    answer = log_in(site, name, "wrong", "192.0.2.77")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= throttle.LONGEST_NAME_WAIT_SECONDS
    assert list(answer.json) == ["detail"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("long_waits")
def test_too_many_failures_from_an_address_are_429(site: Site) -> None:
    for i in range(5):
        assert log_in(site, f"name {i}", "wrong").json == WRONG
    assert log_in(site).status_code == 429
    assert log_in(site, address="192.0.2.2").json["code"] == 2


@pytest.mark.usefixtures("long_waits")
def test_two_processes_share_one_count(tmp_path: Path) -> None:
    sites = [make_site(tmp_path), make_site(tmp_path)]
    for i in range(5):
        assert log_in(sites[i % 2], NAME, "wrong", f"192.0.2.{i}").json == WRONG
    for site in sites:
        assert log_in(site, NAME, PASSWORD, "192.0.2.99").status_code == 429


@pytest.mark.usefixtures("long_waits")
def test_a_header_does_not_change_the_address_unless_a_proxy_is_set(tmp_path: Path) -> None:
    site = make_site(tmp_path / "bare")
    for i in range(6):
        answer = site.post(
            "/login/",
            json={"username": f"name {i}", "password": "wrong"},
            headers={"X-Forwarded-For": f"192.0.2.{i}"},
        )
    assert answer.status_code == 429
    behind = make_site(tmp_path / "proxy", proxy_count="1")
    for i in range(6):
        answer = behind.post(
            "/login/",
            json={"username": f"name {i}", "password": "wrong"},
            headers={"X-Forwarded-For": f"198.51.100.{i}, 192.0.2.{i}"},
        )
    assert answer.json == WRONG


# --- /auth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/auth", "/auth/"])
def test_a_good_token_is_called_good(site: Site, path: str) -> None:
    answer = site.get(path, headers=site.bearer())
    assert answer.status_code == 200
    assert answer.json == {"code": 1, "hint": "valid_jwt_token"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_scheme_may_be_written_in_any_case(site: Site) -> None:
    token = site.make_token()
    assert site.get("/auth", headers={"Authorization": f"bEARER {token}"}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Basic QWRhOnB3",
        "Token {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer x{token}",
        "Bearer {token} {token}",
        "Bearer {head}..",
        "Bearer {head}.{body}.",
        "Bearer \u00e9",
        "Bearer token={token}",
    ],
)
def test_anything_but_a_good_token_is_refused(site: Site, header: str | None) -> None:
    token = site.make_token()
    head, body, _ = token.split(".")
    headers = {}
    if header is not None:
        headers["Authorization"] = header.format(token=token, head=head, body=body)
    expect_refused(site.get("/auth", headers=headers))


def test_a_token_in_the_query_or_a_cookie_is_none(site: Site) -> None:
    token = site.make_token()
    expect_refused(site.get("/auth", query_string={"token": token, "access_token": token}))
    client = site.client()
    client.set_cookie("token", token)
    expect_refused(client.get("/auth"))


def test_a_session_cookie_opens_no_call(site: Site) -> None:
    client = site.signed_in_client()
    assert client.get("/sign-in").status_code == 302, "the session is good"
    expect_refused(client.get("/auth"))
    expect_refused(client.get("/admin/onedrive/add-folder?folder_name=x"))
    expect_refused(client.post("/admin/delete/image", json={"image_list": {}}))


def test_a_token_ends_with_its_password(site: Site) -> None:
    headers = site.bearer()
    site.change_password("quite another password")
    expect_refused(site.get("/auth", headers=headers))


def test_a_token_is_checked_before_its_parameters(site: Site) -> None:
    expect_refused(site.get("/admin/image?group_id=x"))
    expect_refused(site.post("/admin/add/image", data=b"{", content_type="application/json"))


def test_a_token_can_be_revoked(site: Site) -> None:
    headers, other = site.bearer(), site.bearer()
    answer = site.post("/auth/revoke", headers=headers)
    assert answer.json == {"code": 1, "hint": "token_revoked"}
    expect_refused(site.get("/auth", headers=headers))
    expect_refused(site.post("/auth/revoke", headers=headers))
    assert site.get("/auth", headers=other).status_code == 200


def test_an_hour_is_what_a_token_lasts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TOKEN_SECONDS", -1)
    expect_refused(site.get("/auth", headers=site.bearer()))


def test_a_refusal_can_be_read_by_the_single_page_app(site: Site) -> None:
    answer = site.get("/auth", headers={"Origin": APP_ORIGIN})
    expect_refused(answer)
    assert answer.headers["Access-Control-Allow-Origin"] == APP_ORIGIN
