"""The hub below the path of PUBLIC_URL, behind either kind of proxy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from imagehub.config import SettingsError, load_settings
from imagehub.domain.site.look import save_look
from imagehub.models import LogoPicture, StoredObject
from imagehub.wiring import get_given_settings
from tests.fixtures.site import NAME, PASSWORD, Site, make_site, read_csrf_token
from tests.fixtures.visitor import ORIGIN, Page
from tests.web.test_page_cache import is_kept

EVIL = (
    "//evil.example", "/\\evil.example", "https://evil.example", "evil.example", "/a//b", "/../x",
    "/a/./b", "/%2e%2e", "/a?b", "/a#b", "/a b", "/a\tb", "/é", "/a;b", "//", ".",
)  # fmt: skip


@pytest.fixture
def below(tmp_path: Path) -> Site:
    return make_site(tmp_path / "below", public_url=f"{ORIGIN}/art/", proxy_count="1")


def get(site: Site, path: str, **headers: str) -> TestResponse:
    return site.get(path, base_url=ORIGIN, headers=headers)


def is_own(address: str) -> bool:
    return address.startswith((f"{ORIGIN}/art/", "/art/"))


# --- The setting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://x.example", ""),
        ("https://x.example/", ""),
        ("https://x.example/art/", "/art"),
        ("https://x.example:8443/~ada/art-1_2.0", "/~ada/art-1_2.0"),
        ("", ""),
    ],
)
def test_the_path_comes_from_the_public_url(tmp_path: Path, url: str, path: str) -> None:
    environment = {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_PUBLIC_URL": url}
    settings = load_settings(environment, None)
    assert settings.public_path == path
    assert settings.cookie_path == (path or "/")
    assert not settings.public_url.endswith("/")


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/a//b", "https://x.example/a/../b", "https://x.example/%61",
        "https://x.example/a b", "https://x.example/art?x=1", "https://x.example/art#x",
        "https://ada:secret@x.example/art", "https://x.example/a;b", "https://x.example//evil",
    ],
)  # fmt: skip
def test_a_public_url_that_is_no_plain_address_is_refused(tmp_path: Path, url: str) -> None:
    environment = {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_PUBLIC_URL": url}
    with pytest.raises(SettingsError, match="IMAGEHUB_PUBLIC_URL") as caught:
        load_settings(environment, None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("path", ["/admin", "/image/art", "/groups", "/static"])
def test_a_path_that_the_hub_uses_itself_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(SettingsError, match=f"IMAGEHUB_PUBLIC_URL: .* below {path[:6]}"):
        make_site(tmp_path / "own", public_url=f"{ORIGIN}{path}")


# --- Requests -------------------------------------------------------------------------------------


def test_both_kinds_of_proxies_get_the_same_pages(below: Site) -> None:
    below.add_group()
    for path in ("/", "/groups/1", "/image/page?page=1", "/feed.atom", "/sitemap.xml", "/nothing"):
        removed, passed_on = get(below, path), get(below, f"/art{path}")
        assert removed.status_code == passed_on.status_code
        assert removed.status_code == (404 if path == "/nothing" else 200)
        assert removed.data == passed_on.data or path == "/nothing"


def test_both_kinds_of_proxies_share_the_kept_pages(below: Site) -> None:
    below.add_group()
    assert not is_kept(below, "/")
    assert is_kept(below, "/art/") and is_kept(below, "/")


@pytest.mark.parametrize("path", ["/art", "/art?page=2"])
def test_the_path_without_its_slash_leads_to_the_front_page(below: Site, path: str) -> None:
    answer = get(below, path)
    assert answer.status_code == 308
    assert answer.location == path.replace("/art", "/art/")


def test_a_path_that_only_begins_alike_is_not_the_hubs(below: Site) -> None:
    assert get(below, "/artist/").status_code == 404
    assert get(below, "/Art/").status_code == 404


@pytest.mark.parametrize("path", ["/art//evil.example/admin/", "//evil.example/admin/", "//art/"])
def test_doubled_slashes_do_not_lead_to_another_host(below: Site, path: str) -> None:
    answer = below.get("/", base_url=ORIGIN, environ_overrides={"PATH_INFO": path})
    while answer.status_code in (301, 302, 308):
        assert is_own(answer.location)
        answer = get(below, answer.location.removeprefix(ORIGIN))
    assert answer.status_code in (200, 404)


def test_what_the_server_says_of_the_path_counts_as_part_of_it(below: Site) -> None:
    """A WSGI server may have separated it, by its own settings or a request's header."""
    for name in ("/art", "//evil.example", "/evil"):
        answer = below.get("/", base_url=ORIGIN, environ_overrides={"SCRIPT_NAME": name})
        assert answer.status_code == (200 if name == "/art" else 404)
        assert answer.location is None or is_own(answer.location)
        page = Page(answer.text, ORIGIN)
        assert all(is_own(address) for address in page.addresses if "evil" in address)


def test_a_logo_is_below_the_path(below: Site) -> None:
    key = f"logos/{'c' * 64}.webp"
    with below.session() as session:
        session.add(StoredObject(key=key, size_bytes=100))
        session.add(LogoPicture(object_key=key, name="logo.png", width_px=300, height_px=100))
        session.flush()
        save_look(session, get_given_settings(below.app), {"logo": "1"})
    assert f'src="/art/logos/1/{"c" * 16}.webp"' in get(below, "/").text


def test_a_preview_is_below_the_path(below: Site) -> None:
    below.add_group()
    client = below.client()
    page = client.get("/art/sign-in", base_url=ORIGIN).text
    token = page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    fields = {"name": NAME, "password": PASSWORD, "csrf_token": token}
    client.post("/art/sign-in", data=fields, base_url=ORIGIN, headers={"Referer": f"{ORIGIN}/art/"})
    start = client.get("/art/preview?layout=one", base_url=ORIGIN).location
    assert start == "/art/preview/layout=one/"
    answer = client.get(start, base_url=ORIGIN)
    assert "is-one" in answer.text
    assert f'<link rel="canonical" href="{ORIGIN}/art/"' in answer.text
    assert 'href="/art/preview/layout=one/groups/1"' in answer.text
    assert 'href="/art/admin/"' in answer.text
    assert 'src="/art/assets/' in answer.text


# --- Going on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/art"])
def test_signing_in_stays_below_the_path(below: Site, prefix: str) -> None:
    client = below.client()
    answer = client.get(f"{prefix}/admin/library?page=2", base_url=ORIGIN)
    assert answer.location == "/art/sign-in?next=/art/admin/library?page%3D2"
    page = client.get(f"{prefix}/sign-in", base_url=ORIGIN)
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Secure-hub=") and "; Path=/art" in cookie and "Secure" in cookie
    fields = {
        "name": NAME,
        "password": PASSWORD,
        "remember": "on",
        "csrf_token": page.text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0],
        "next": "/art/admin/library?page=2",
    }
    header = {"Referer": f"{ORIGIN}/art/sign-in", "Cookie": cookie.split(";")[0]}
    answer = below.app.test_client(use_cookies=False).post(
        f"{prefix}/sign-in", data=fields, base_url=ORIGIN, headers=header
    )
    assert answer.location == "/art/admin/library?page=2"
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) == 3, "session, remember-me, known device"
    assert all("; Path=/art" in cookie for cookie in cookies)


@pytest.mark.parametrize(
    "target",
    [
        "/", "/admin/library", "/artist/", "/art/../admin/", "/art/%2e%2e/x", "/art/.%2E/x",
        "/art/a/%2e./../x", "//art/x", "https://x.example/art/", "/art\\..\\x", "/art",
    ],
)  # fmt: skip
def test_a_target_outside_of_the_path_is_left_out(below: Site, target: str) -> None:
    answer = get(below, "/preferences?" + "next=" + target.replace("%", "%25"))
    assert answer.location == "/art/"


def test_the_hub_at_the_root_keeps_its_cookies_there(tmp_path: Path) -> None:
    site = make_site(tmp_path / "root", public_url=ORIGIN)
    cookie = site.get("/sign-in", base_url=ORIGIN).headers["Set-Cookie"]
    assert cookie.startswith("__Host-hub=") and "; Path=/;" in f"{cookie};"


# --- X-Forwarded-Prefix ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make_prefixed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Site]:
    """Return a function that makes a hub without a public address, behind one proxy."""
    sites: dict[str, Site] = {}

    def make(prefix: str) -> Site:
        if prefix not in sites:
            folder = tmp_path_factory.mktemp("prefixed")
            sites[prefix] = make_site(folder, proxy_count="1", proxy_prefix=prefix)
        return sites[prefix]

    return make


@pytest.mark.parametrize("prefix", ["/art", *EVIL])
def test_the_header_is_not_believed_by_default(
    make_prefixed: Callable[[str], Site], below: Site, prefix: str
) -> None:
    header = {"X-Forwarded-Prefix": prefix.encode().decode("latin-1")}
    answer = get(make_prefixed("off"), "/admin/", **header)
    assert answer.location == "/sign-in?next=/admin/"
    answer = get(below, "/admin/", **header)
    assert answer.location == "/art/sign-in?next=/art/admin/"


def test_the_header_is_believed_if_its_setting_says_so(
    make_prefixed: Callable[[str], Site],
) -> None:
    site = make_prefixed("on")
    for path in ("/admin/", "/art/admin/"):
        answer = get(site, path, X_Forwarded_Prefix="/art")
        assert answer.location == "/art/sign-in?next=/art/admin/"
    assert get(site, "/admin/", X_Forwarded_Prefix="/evil, /art").location.startswith("/art/")
    assert get(site, "/admin/").location == "/sign-in?next=/admin/"
    page = get(site, "/", X_Forwarded_Prefix="/art").text
    assert 'href="/art/tags"' in page or 'href="/art/sign-in"' in page
    assert 'href="/art/' not in get(site, "/").text, "each path has its own kept page"


@pytest.mark.parametrize("prefix", EVIL)
def test_nonsense_in_a_believed_header_is_ignored(
    make_prefixed: Callable[[str], Site], prefix: str
) -> None:
    site = make_prefixed("on")
    header = {"X-Forwarded-Prefix": prefix.encode().decode("latin-1")}
    assert get(site, "/admin/", **header).location == "/sign-in?next=/admin/"
    assert get(site, "/art", **header).status_code == 404
    assert "evil" not in get(site, "/", **header).text


@pytest.mark.parametrize(
    "others", [{"PUBLIC_URL": f"{ORIGIN}/art", "PROXY_COUNT": "1"}, {"PUBLIC_URL": ORIGIN}, {}]
)
def test_a_believed_header_needs_a_proxy_and_no_public_url(
    tmp_path: Path, others: dict[str, str]
) -> None:
    environment = {f"IMAGEHUB_{name}": value for name, value in others.items()}
    environment |= {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_PROXY_PREFIX": "on"}
    with pytest.raises(SettingsError, match="IMAGEHUB_PROXY_PREFIX"):
        load_settings(environment, None)


def test_a_kept_page_of_one_path_is_not_sent_for_another(
    make_prefixed: Callable[[str], Site],
) -> None:
    site = make_prefixed("on")
    for path in ("/one", "/two", "/one"):
        page = get(site, "/", X_Forwarded_Prefix=path).text
        assert f'href="{path}/sign-in"' in page


def test_a_form_of_the_path_keeps_its_token(below: Site) -> None:
    assert len(read_csrf_token(below.client(), "/art/sign-in")) > 20
