"""No link, form, redirect, cookie or address of a script leaves the path of the hub."""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qs, quote, unquote, urljoin, urlsplit

import pytest

from imagehub.domain.library import groups, trash
from imagehub.domain.library.tags import set_tags
from imagehub.domain.sharing import links
from imagehub.models import Group
from imagehub.wiring import get_clients
from tests.fixtures.importing import make_jpeg
from tests.fixtures.site import NAME, PASSWORD, ConnectedSite
from tests.fixtures.visitor import ORIGIN, Form, Page, Visitor, find_addresses
from tests.support import ROOT

SCRIPTS = sorted((ROOT / "imagehub/static/js").rglob("*.js"))
# (path, whether the proxy removes it)
SET_UPS = {
    "at the root": ("", False),
    "path removed": ("/art", True),
    "path passed on": ("/art", False),
}
# Forms of the admin pages that end what the others need are sent last, in this order.
LAST = ("/delete", "/disconnect", "/account/", "/sign-out")


@pytest.fixture(params=SET_UPS.values(), ids=SET_UPS)
def visitor(request: pytest.FixtureRequest, connected_site: ConnectedSite) -> Iterator[Visitor]:
    """Return a browser at a hub with works, a share link, something in the trash, and a drive."""
    path, is_stripped = request.param
    connected_site.put_files("Studio", {f"{n}.jpg": make_jpeg(n) for n in range(3)})
    hub = connected_site.restart(public_url=f"{ORIGIN}{path}")
    numbers = [hub.add_group(("a.jpg", "b.jpg")) for _ in range(13)]
    with hub.session() as session:
        for number in numbers[:3]:
            group = session.get_one(Group, number)
            group.title, group.text = f"Harbour {number}", "See https://example.org/sea"
            set_tags(session, group, ["Sea", "100% #1"])
            groups.refresh_group(session, number)
        trash.trash_groups(session, numbers[3:4], None)
    store = get_clients(hub.app).store
    hosts = (_get_origin(store.make_presigned_url("x")), hub.onedrive.url)
    yield Visitor(hub, path, is_stripped, hosts)


def _get_origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def sign_in(visitor: Visitor) -> None:
    form = find_form(visitor.read("sign-in"), "/sign-in")
    answer = visitor.submit(form, name=NAME, password=PASSWORD, remember="on")
    assert answer.location == f"{visitor.path}/admin/"


def find_form(page: Page, action: str) -> Form:
    return next(form for form in page.forms.values() if urlsplit(form.action).path.endswith(action))


def crawl(visitor: Visitor, *starts: str) -> dict[str, Page]:
    """Open the addresses, and all that they lead to; return the pages by address."""
    waiting, seen, pages = list(starts), set(), {}
    while waiting:
        url = urljoin(f"{ORIGIN}{visitor.path}/", waiting.pop()).partition("#")[0]
        parts = urlsplit(url)
        # One address for each kind of page and query; filters could be combined without end.
        kind = re.sub(r"/\d+(?=[/.]|$)", "/1", parts.path)
        key = (kind, *sorted(parse_qs(parts.query, keep_blank_values=True)))
        if not url.startswith(f"{ORIGIN}{visitor.path}/") or key in seen:
            continue
        seen.add(key)
        answer = visitor.open(url)
        if answer.mimetype == "text/html":
            page = pages[url] = Page(answer.text, url)
            waiting += [urljoin(url, link) for link in page.links]
        if answer.location:
            waiting.append(urljoin(url, answer.location))
    return pages


def list_rules(visitor: Visitor, is_api: bool) -> list[str]:
    """Return an address for each GET rule, with 1 for its variables."""
    app = visitor.site.app
    return sorted(
        {
            re.sub("<[^>]+>", "1", rule.rule).lstrip("/")
            for rule in app.url_map.iter_rules()
            if "GET" in (rule.methods or set())
            and getattr(app.view_functions[rule.endpoint], "is_api", False) is is_api
        }
    )


def make_share(visitor: Visitor, **options: object) -> str:
    with visitor.site.session() as session:
        _, token = links.create_share(session, None, [1, 2], **options)  # type: ignore[arg-type]
    return f"s/{token}"


def test_pages_for_visitors_stay_below_the_path(visitor: Visitor) -> None:
    locked = make_share(visitor, password="an unguessable word 7")
    pages = crawl(
        visitor,
        *list_rules(visitor, is_api=False),
        *("?page=2", "search?q=harbour", "search/suggest?q=ha", "no/such/page", "groups/4711"),
        *(make_share(visitor, may_download=True), locked),
        "oembed?url=" + quote(f"{ORIGIN}{visitor.path}/groups/1", safe=""),
    )
    assert visitor.faults == []
    found = {re.sub(r"/\d+$", "/1", url.removeprefix(ORIGIN + visitor.path)) for url in pages}
    assert {"/", "/groups/1", "/series/1", "/tags", "/sign-in", "/offline", f"/{locked}"} <= found
    embedded = visitor.open("oembed?url=" + quote(f"{ORIGIN}{visitor.path}/groups/1/2", safe=""))
    assert embedded.json["provider_url"] == f"{ORIGIN}{visitor.path}/"
    outside = visitor.open("oembed?url=" + quote(f"{ORIGIN}/other/groups/1", safe=""))
    assert outside.status_code == 404
    unlocked = visitor.submit(
        find_form(visitor.read(locked), locked), password="an unguessable word 7"
    )
    assert unlocked.location == f"{visitor.path}/{locked}"
    theme = visitor.open("preferences?theme=dark&next=" + quote(f"{visitor.path}/tags"))
    assert theme.location == f"{visitor.path}/tags"
    assert 'data-theme="dark"' in visitor.open("tags").text
    assert visitor.faults == []


def test_files_for_browsers_and_search_engines_name_the_path(visitor: Visitor) -> None:
    root = f"{visitor.path}/"
    manifest = visitor.open("manifest.webmanifest").json
    assert (manifest["id"], manifest["start_url"], manifest["scope"]) == (root, root, root)
    assert all(icon["src"].startswith(f"{root}assets/") for icon in manifest["icons"])
    worker = visitor.open("service-worker.js").text
    version = json.loads(worker.split("self.version = ", 1)[1].split(";\n", 1)[0])
    assert version["assets"].startswith(f"{root}assets/")
    assert version["caches"] == f"imagehub {root}assets/"
    for address in (version["offline"], *version["files"]):
        assert visitor.open(address).status_code == 200
    robots = visitor.open("robots.txt").text
    assert f"Disallow: {root}admin/" in robots
    assert f"Sitemap: {ORIGIN}{root}sitemap.xml" in robots
    assert f"<loc>{ORIGIN}{root}sitemap/" in visitor.open("sitemap.xml").text
    assert f"<loc>{ORIGIN}{root}groups/" in visitor.open("sitemap/1.xml").text
    assert f'href="{ORIGIN}{root}groups/' in visitor.open("feed.atom").text
    front = visitor.read("")
    for name in ("js/kept.js", "css/admin.css", "js/admin/common.js"):
        stylesheet = next(one for one in front.addresses if one.endswith("css/site.css"))
        assert visitor.open(stylesheet.replace("css/site.css", name)).status_code == 200
    assert visitor.faults == []


def test_admin_pages_and_their_forms_stay_below_the_path(visitor: Visitor) -> None:
    answer = visitor.open("admin/library?page=2")
    assert answer.location == (
        f"{visitor.path}/sign-in?next=" + quote(f"{visitor.path}/admin/library?page=2", safe="/?")
    )
    sign_in(visitor)
    drive = visitor.read("admin/drive")
    studio = next(one for one in drive.links if re.search(r"/admin/drive/[^/?]+$", one))
    token = dict(find_form(drive, "/sign-out").fields)
    plan = visitor.open(
        "admin/import/plan", "POST", data={**token, "item": unquote(studio.split("/")[-1])}
    )
    assert plan.location == f"{visitor.path}/admin/import/plans/1"
    begun = visitor.open("admin/connection/connect", "POST", data=token)
    microsoft = visitor.site.onedrive.url
    url = next(one for one in Page(begun.text, ORIGIN).links if one.startswith(microsoft))
    callback = f"{ORIGIN}{visitor.path}/admin/onedrive/callback"
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [callback]
    back = visitor.open(visitor.site.onedrive.consent(url))
    assert back.location == f"{visitor.path}/admin/connection"
    pages = crawl(visitor, *list_rules(visitor, is_api=False), plan.location, "admin/library/4711")
    assert visitor.faults == []
    assert len(pages) > 30
    shared = visitor.submit(find_form(visitor.read("admin/shares/new?group=1"), "/admin/shares"))
    made = visitor.open(shared.location).text
    assert f'value="{ORIGIN}{visitor.path}/s/' in made
    actions = submit_all(visitor, pages.values())
    assert visitor.faults == []
    assert len(actions) > 25
    assert visitor.open("admin/").location.startswith(f"{visitor.path}/sign-in?next=")


def submit_all(visitor: Visitor, pages: Iterable[Page]) -> set[str]:
    """Send each form by each of its buttons once, and open what it leads to; return the acts."""
    waiting: dict[str, tuple[Form, int | None]] = {}
    sent: set[str] = set()

    def add_forms(page: Page) -> None:
        for form in page.forms.values():
            buttons: list[int | None] = [*range(len(form.buttons))]
            for button in (buttons or [None]) if form.method.lower() == "post" else []:
                address = form.buttons[button][0] if button is not None else ""
                act = re.sub(r"\d+", "1", urlsplit(urljoin(form.action, address)).path)
                if act not in sent:
                    waiting.setdefault(act, (form, button))

    def get_turn(act: str) -> tuple[int, str]:
        return next((n for n, word in enumerate(LAST, start=1) if word in act), 0), act

    for page in pages:
        add_forms(page)
    while waiting:
        act = min(waiting, key=get_turn)
        sent.add(act)
        answer = visitor.submit(*waiting.pop(act))
        if answer.location and _get_origin(answer.location) in ("://", ORIGIN):
            visitor.open(answer.location)
        elif answer.mimetype == "text/html":  # Such as a question before the act.
            add_forms(Page(answer.text, f"{ORIGIN}{visitor.path}/"))
    return sent


def test_the_json_api_stays_below_the_path(visitor: Visitor) -> None:
    """The first version's calls, with absolute addresses in their answers."""
    credentials = {"username": NAME, "password": PASSWORD}
    answer = visitor.open("login/", "POST", json=credentials).json
    assert answer["code"] == 2
    for address in ("login/", "login"):
        signed_in = visitor.open(f"{address}?username={NAME}&password={quote(PASSWORD)}").json
        assert signed_in["code"] == 2
    assert visitor.open("auth").status_code == 401
    visitor.token = answer["token"]
    assert visitor.open("auth").json == {"code": 1, "hint": "valid_jwt_token"}
    page = visitor.open("image/page?page=1").json
    assert len(page["data"]) == 12
    number = page["data"][0]["group"]
    full = visitor.open(f"image/download?group_id={number}&image_id=1").json["image"]["image"]
    assert full.startswith(f"{ORIGIN}{visitor.path}/media/full/{number}/1")
    for address in ("image/?group=1&image_id=1", "image?group=1&image_id=1"):
        assert visitor.open(address).json["code"] == 1
    for address in list_rules(visitor, is_api=True):
        assert visitor.open(address).status_code in (200, 422), address
    assert visitor.open("admin/onedrive/connect").json["code"] == 1
    assert visitor.open("nothing", headers={"Accept": "application/json"}).status_code == 404
    document = visitor.open("openapi.json").json
    assert document["servers"] == [{"url": f"{ORIGIN}{visitor.path}"}]
    assert "/image/page" in document["paths"]
    assert visitor.faults == []


def test_scripts_get_their_addresses_from_pages() -> None:
    """An address in a script would be one at the root; so would a cookie's path or a key."""
    for script in SCRIPTS:
        code = re.sub(r"(?m)^\s*(//|\*|/\*).*$", "", script.read_text())
        literals = re.findall(r"[\"'`](/[a-z][^\"'`]*)[\"'`]", code)
        # The end of an address.
        found = [text for text in literals if f'endsWith("{text}")' not in code]
        found += re.findall(r"path=/", code)
        found += re.findall(r"Storage\.\w+Item\(\s*[\"'`]", code)
        found += re.findall(r"(?:indexedDB\.open|locks\.request|Channel)\(\s*[\"'`]", code)
        assert found == [], f"{script.name}: use addresses of the page, and kept.js for names"


def test_templates_have_no_address_of_the_root() -> None:
    for template in (ROOT / "imagehub/templates").rglob("*.*"):
        found = re.findall(r"(?:href|src|action|formaction|data-[a-z-]+)=\"/", template.read_text())
        assert found == [], template.name


def test_addresses_are_found_wherever_a_page_may_have_them() -> None:
    """What the tests above would notice."""
    text = """<a href="/a"><img srcset="/b 1x, /c 2x"><form action="/d"><button formaction="/e">
      </form><div data-url="/f" data-all='{"x": ["/g", {"y": "https://h.example/"}]}'></div>
      <script type="application/json">{"url": "/i"}</script>"""
    page = Page(text, ORIGIN)
    assert sorted(page.addresses) == [*(f"/{c}" for c in "abcdefgi"), "https://h.example/"]
    assert find_addresses("plain /text") == []
