"""The names and attributes of all cookies."""

import shutil
from pathlib import Path

import pytest
from flask import Response
from flask.testing import FlaskClient

from imagehub.domain.people import users
from imagehub.web.cookies import read_cookie, set_cookie
from tests.fixtures.site import NAME, PASSWORD, Site, make_site

# Public address → prefix of the names, path.
PLACES = {
    "https://hub.example.org": ("__Host-", "/"),
    "https://example.org/art": ("__Secure-", "/art"),
    "http://hub.example.org": ("", "/"),
    "": ("", "/"),
}


def make_public_site(folder: Path, template: Path, public_url: str) -> Site:
    shutil.copytree(template, folder / "site")
    return make_site(folder / "site", public_url=public_url)


def sign_in(client: FlaskClient, base: str) -> list[str]:
    """Sign in and stay signed in; return the Set-Cookie headers."""
    page = client.get("/sign-in", base_url=base)
    token = page.text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    form = {"name": NAME, "password": PASSWORD, "csrf_token": token, "remember": "on"}
    answer = client.post(
        "/sign-in", base_url=base, headers={"Referer": f"{base}/sign-in"}, data=form
    )
    assert answer.status_code == 302
    return page.headers.getlist("Set-Cookie") + answer.headers.getlist("Set-Cookie")


@pytest.mark.parametrize("public_url", PLACES)
def test_all_cookies_have_the_prefix_and_what_browsers_demand_of_it(
    tmp_path: Path, site_folder: Path, public_url: str
) -> None:
    prefix, path = PLACES[public_url]
    client = make_public_site(tmp_path, site_folder, public_url).client()
    base = public_url or "http://localhost"
    set_headers = sign_in(client, base)
    for address in ("/preferences?theme=dark&language=de", "/admin/library?view=grid"):
        set_headers += client.get(address, base_url=base).headers.getlist("Set-Cookie")
    account = client.get("/admin/account", base_url=base).text
    token = account.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    out = client.post(
        "/sign-out", base_url=base, headers={"Referer": base}, data={"csrf_token": token}
    )
    deletions = out.headers.getlist("Set-Cookie")
    names = {header.split("=", 1)[0] for header in set_headers}
    plain = {"hub", "remember_token", "hub-known", "theme", "language", "library-view"}
    assert names == {prefix + name for name in plain}
    # Browsers ignore a deletion without the attributes too.
    assert {header.split("=", 1)[0] for header in deletions} == {
        f"{prefix}hub",
        f"{prefix}remember_token",
    }
    for header in set_headers + deletions:
        parts = header.split("; ")
        assert ("Secure" in parts) == bool(prefix), header
        assert f"Path={path}" in parts, header
        assert "SameSite=Lax" in parts or header in deletions, header
        assert "Domain" not in header
        is_for_scripts = "theme=" in parts[0] or "language=" in parts[0]
        assert ("HttpOnly" in parts) != is_for_scripts or header in deletions, header


def test_disabling_ones_own_account_deletes_the_cookies_as_browsers_demand(
    tmp_path: Path, site_folder: Path
) -> None:
    base = "https://hub.example.org"
    site = make_public_site(tmp_path, site_folder, base)
    with site.session() as session:
        users.create_admin(session, "Grace", "another good password")
        ada = users.find_user(session, NAME)
        assert ada is not None
        number = ada.id
    client = site.client()
    sign_in(client, base)
    page = client.get("/admin/account/admins", base_url=base).text
    token = page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    form = {"user": str(number), "password": PASSWORD, "own": "1", "csrf_token": token}
    answer = client.post(
        "/admin/account/admins/disable", base_url=base, headers={"Referer": base}, data=form
    )
    assert answer.location == "/sign-in"
    deletions = answer.headers.getlist("Set-Cookie")
    names = {header.split("=", 1)[0] for header in deletions}
    assert names == {"__Host-hub", "__Host-remember_token"}
    for header in deletions:
        assert {"Secure", "Path=/", "Max-Age=0"} <= {*header.split("; ")}, header


@pytest.mark.parametrize("public_url", PLACES)
def test_scripts_are_told_prefix_and_path(
    tmp_path: Path, site_folder: Path, public_url: str
) -> None:
    prefix, path = PLACES[public_url]
    client = make_public_site(tmp_path, site_folder, public_url).client()
    base = public_url or "http://localhost"
    told = f'data-cookie-prefix="{prefix}" data-cookie-path="{path}"'
    assert told in client.get("/", base_url=base).text
    sign_in(client, base)
    assert told in client.get("/admin/account", base_url=base).text


def test_over_https_a_cookie_without_the_prefix_counts_for_nothing(
    tmp_path: Path, site_folder: Path
) -> None:
    """Another host of the domain, or somebody on the way, may have planted it."""
    base = "https://hub.example.org"
    site = make_public_site(tmp_path, site_folder, base)
    stranger = site.app.test_client(use_cookies=False)
    for planted, language, theme in (
        ("language=de; theme=dark", "en", "auto"),
        ("__Host-language=de; __Host-theme=dark; language=en; theme=light", "de", "dark"),
    ):
        for _ in range(2):  # The second page is a kept one.
            page = stranger.get("/", base_url=base, headers={"Cookie": planted}).text
            assert f'<html lang="{language}" data-theme="{theme}"' in page
    client = site.client()
    sign_in(client, base)
    cookie = client.get_cookie("__Host-hub", "hub.example.org")
    assert cookie is not None
    for name, status in (("__Host-hub", 200), ("hub", 302)):
        headers = {"Cookie": f"{name}={cookie.value}"}
        answer = stranger.get("/admin/account", base_url=base, headers=headers)
        assert answer.status_code == status


def test_a_cookie_is_read_by_the_name_it_was_set_with(tmp_path: Path, site_folder: Path) -> None:
    site = make_public_site(tmp_path, site_folder, "https://example.org/art")
    with site.app.test_request_context(headers={"Cookie": "__Secure-drive-view=grid; x=1"}):
        assert read_cookie("drive-view") == "grid"
        assert read_cookie("x") == ""
        response = Response()
        set_cookie(response, "drive-view", "list", 60, is_for_scripts=True)
    assert response.headers["Set-Cookie"].startswith("__Secure-drive-view=list; ")
