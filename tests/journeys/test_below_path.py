"""A hub below a path in Chromium, behind a proxy that knows nothing else of its host."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from PIL import Image as Picture
from playwright.sync_api import expect

from imagehub.wiring import get_clients, get_settings
from tests.clients.s3_relay import Answer, Relay, Seen, run_relay
from tests.fixtures.browser import Visits, wait_until_open
from tests.fixtures.served_site import make_picture, serve, wait_for_script
from tests.fixtures.site import NAME, PASSWORD, SIZES, ConnectedSite

PICTURES = "/art/pictures"


@dataclass
class Proxy:
    """A proxy with the hub at ``/art/`` and the object storage below it; it has nothing else.

    :param strips: removes ``/art`` before it passes a request on to the hub.
    """

    relay: Relay
    store: Relay
    strips: bool
    outside: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.relay.url

    def decide(self, request: Seen) -> Answer | Seen:
        if request.path.startswith(f"{PICTURES}/"):
            return self.store.forward(replace(request, path=request.path.removeprefix(PICTURES)))
        if not request.path.startswith("/art/"):
            self.outside.append(request.path)
            return Answer(404)
        return replace(request, path=request.path.removeprefix("/art")) if self.strips else request


@pytest.fixture(params=[True, False], ids=["path removed", "path passed on"])
def proxy(request: pytest.FixtureRequest, connected_site: ConnectedSite) -> Iterator[Proxy]:
    with run_relay("http://unknown.invalid") as relay:
        yield Proxy(relay, Relay(get_settings(connected_site.app).s3_url), request.param)


def add_pictures(site: ConnectedSite) -> int:
    """Add a work with renditions in the object storage."""
    number = site.add_group(("front.jpg", "back.jpg"))
    store = get_clients(site.app).store
    for image in (1, 2):
        for size, *sides in SIZES:
            buffer = BytesIO()
            Picture.new("RGB", (sides[0], sides[1]), (200, 60 * image, 40)).save(buffer, "WEBP")
            store.put_object(site.find_key(number, image, size), buffer.getvalue(), "image/webp")
    return number


def test_a_visit_below_a_path_never_leaves_it(
    connected_site: ConnectedSite, proxy: Proxy, visit: Visits
) -> None:
    number = add_pictures(connected_site)
    site = connected_site.restart(
        public_url=f"{proxy.url}/art",
        s3_public_endpoint_url=f"{proxy.url}{PICTURES}",
        # The S3 server of the tests as the embedded one.
        s3_endpoint_url="",
        s3_port=proxy.store.server.rpartition(":")[2],
    )
    requested: list[str] = []
    with serve(site, visit) as served:
        proxy.relay.server = urlsplit(served.url).netloc
        proxy.relay.decide = proxy.decide
        seen = visit("about:blank")
        page, context = seen.page, seen.page.context
        context.on("request", lambda request: requested.append(request.url))

        # The gallery, with its service worker and preferences.
        page.goto(f"{proxy.url}/art/")
        scope = page.evaluate("navigator.serviceWorker.ready.then(({ scope }) => scope)")
        assert scope == f"{proxy.url}/art/"
        page.locator("[data-theme-switch]").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.locator(".tile a").first.click()
        wait_until_open(page)
        expect(page).to_have_url(f"{proxy.url}/art/groups/{number}/1")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.pswp img')].some((img) => img.naturalWidth > 9)"
        )
        page.keyboard.press("Escape")
        expect(page).to_have_url(f"{proxy.url}/art/")

        # From an admin page to the form and back.
        page.goto(f"{proxy.url}/art/admin/drive")
        page.get_by_label("Name").fill(NAME)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{proxy.url}/art/admin/drive")
        # All modules have run then; before, the link would load another page.
        page.wait_for_load_state("load")

        # An admin page with scripts, and an upload.
        page.locator("[data-view=grid]").click()
        expect(page.locator("[data-view=grid]")).to_have_attribute("aria-current", "true")
        page.wait_for_load_state("load")
        file = {"name": "new.jpg", "mimeType": "image/jpeg", "buffer": make_picture(1)}
        page.set_input_files("#pick-files", file)
        expect(page.locator("#uploads h2")).to_have_text(
            re.compile(r"^1 file uploaded$"), timeout=60_000
        )
        assert (site.onedrive.root / "new.jpg").read_bytes() == file["buffer"]
        kept = page.evaluate("indexedDB.databases().then((all) => all.map(({ name }) => name))")
        assert kept == ["hub-uploads /art/"]
        page.get_by_role("link", name="Library", exact=True).first.click()
        expect(page.locator("[aria-current=page]").first).to_have_text(re.compile("Library"))
        wait_for_script(page)

        cookies = {cookie["name"]: cookie["path"] for cookie in context.cookies()}
        assert {"hub", "theme", "drive-view"} <= cookies.keys()
        assert {path.partition("/sign-in")[0] for path in cookies.values()} == {"/art"}
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{proxy.url}/art/")
        page.goto(f"{proxy.url}/art/admin/")
        expect(page).to_have_url(re.compile(f"^{re.escape(proxy.url)}/art/sign-in"))
    assert proxy.outside == []
    allowed = (f"{proxy.url}/art/", f"{site.onedrive.url}/", "data:", "blob:", "about:")
    assert [url for url in requested if not url.startswith(allowed)] == []
    assert any(url.startswith(f"{proxy.url}{PICTURES}/") for url in requested)
