"""axe on every admin page and the sign-in: on a light desktop and a dark phone."""

import base64
import re
from pathlib import Path
from urllib.parse import urlencode

import pyotp
import pytest
from flask import template_rendered
from playwright.sync_api import expect

import imagehub
from imagehub.domain.enquiries import inbox
from imagehub.domain.library import groups, images, series_edit, series_trash, trash
from imagehub.domain.sharing import links
from imagehub.domain.site import pages, settings
from imagehub.imaging.thumbhash import make_thumbhash
from imagehub.wiring import get_given_settings, get_signing_keys, refresh_settings
from tests.fixtures.browser import DESKTOP, PHONE, Visit
from tests.fixtures.served_site import ServedSite, wait_for_script
from tests.fixtures.site import NAME, PASSWORD, Site

# Addresses of each page, by the endpoint of its view. `test_the_walk_knows_every_page` compares
# them with the map of addresses, and the walk compares what it has seen with the templates.
PAGES: dict[str, list[str]] = {
    "admin.show_home": ["/admin/"],
    "admin.show_drive": ["/admin/drive", "/admin/drive/{folder}"],
    "admin.show_imports": ["/admin/import"],
    "admin.show_library": [
        "/admin/library",
        "/admin/library?view=grid",
        "/admin/library?view=list&filter=missing",
        "/admin/library?q=nothing+is+called+so",
        # The filters of visitors.
        "/?shape=landscape",
        "/?shape=landscape&year=1901",
    ],
    # And as visitors see it, with similar works, at its true size, and on other sites.
    "admin.show_library_group": [
        "/admin/library/{group}",
        "/groups/{group}",
        "/groups/{group}/size",
        "/embed/groups/{group}",
    ],
    "admin.choose_original": [
        "/admin/library/{group}/shots/1/original?folder={folder}",
        "/admin/library/{group}/shots/1/original?folder={empty}",
    ],
    "admin.show_series_list": ["/admin/series"],
    # And as visitors see it.
    "admin.show_series_picker": ["/admin/series/{series}/add"],
    "admin.show_series_page": [
        "/admin/series/{series}",
        "/series",
        "/series/{series}",
        "/embed/series/{series}",
    ],
    "admin.show_trash": ["/admin/library/trash"],
    "admin.show_shares": ["/admin/shares"],
    "admin.show_prints": ["/admin/print"],
    "admin.new_print": ["/admin/print/new?series={series}"],
    "admin.show_share_lists": ["/admin/shares/{share}/lists"],
    "admin.new_share": ["/admin/shares/new?group={group}"],
    "admin.show_enquiries": ["/admin/enquiries", "/admin/enquiries?state=spam"],
    "admin.show_enquiry": ["/admin/enquiries/{enquiry}"],
    "admin.show_pages": ["/admin/pages"],
    "admin.show_text_page": ["/admin/pages/{page}"],
    "admin.choose_picture": ["/admin/pages/pictures"],
    "admin.show_group_texts": ["/admin/library/{group}/texts/de"],
    "admin.show_series_texts": ["/admin/series/{series}/texts/de"],
    "admin.show_page_texts": ["/admin/pages/{page}/texts/de"],
    "admin.show_missing_texts": ["/admin/texts/de"],
    # Where nothing is counted, and what is left of it later.
    "admin.show_numbers": ["/admin/numbers"],
    "admin.show_numbers_of": ["/admin/numbers/group/{group}?days=7"],
    "admin.show_connection": ["/admin/connection"],
    "admin.choose_root_folder": ["/admin/connection/root-folder"],
    "admin.show_activity": ["/admin/activity"],
    "admin.show_look": ["/admin/look", "/admin/look?layout=rows&featured_work={group}"],
    "admin.choose_mark_file": ["/admin/settings/watermark/picture?folder={folder}"],
    "admin.choose_logo": [
        "/admin/look/logo?folder={folder}",
        "/admin/look/logo?theme=dark&folder={empty}",
    ],
    "admin.choose_featured": ["/admin/look/work?layout=rows", "/admin/look/work?q=nothing"],
    # And the front page in it, in each layout.
    "admin.show_look_preview": [
        "/admin/look/preview?layout=one",
        "/preview?layout=rows&featured_work={group}",
        "/preview?layout=one",
    ],
    "admin.show_settings": ["/admin/settings"],
    "admin.show_main_language": ["/admin/settings/main-language"],
    "admin.show_account": ["/admin/account"],
    "admin.show_admins": ["/admin/account/admins"],
}
# Pages that are reached by an act; the walk goes there one by one.
PAGES_BEHIND_ACTS = {
    "admin.show_import_plan",
    "admin.show_import",
    "admin.show_second_step",
    "admin.show_recovery_codes",
    "auth.sign_in",
    "auth.ask_code",
}
# Views that answer with JSON, a picture or a redirect.
NOT_PAGES = {
    "admin.finish_connection",
    "admin.list_drive_folders",
    "admin.list_drive_items",
    "admin.list_library_choices",
    "admin.list_library_tags",
    "admin.list_running_jobs",
    "admin.list_running_prints",
    "admin.download_print",
    "admin.preview_watermark",
    "admin.show_drive_path",
    "admin.show_drive_thumbnail",
    "admin.show_import_progress",
    "admin.show_storage",
    "admin.show_translations",
}
FURNISHED = {"text_languages": "en,de", "embed_sites": "*", "watermark": "text"}
TEMPLATES = Path(imagehub.__file__).parent / "templates"


def test_the_walk_knows_every_page(site: Site) -> None:
    endpoints = {
        rule.endpoint
        for rule in site.app.url_map.iter_rules()
        if rule.endpoint.startswith(("admin.", "auth."))
        and not rule.endpoint.split(".")[1].startswith("api_")
        and "GET" in (rule.methods or ())
    }
    assert endpoints == {*PAGES, *PAGES_BEHIND_ACTS, *NOT_PAGES}


def list_page_templates() -> set[str]:
    """List the templates of whole pages by their names."""
    return {
        f"{folder}/{file.name}"
        for folder in ("admin", "auth")
        for file in (TEMPLATES / folder).glob("*.html")
        if not file.name.startswith("_") and file.name != "layout.html"
    }


class Walk:
    """A browser on its way through the pages, and the faults that axe has found.

    It is a light desktop, and becomes a dark phone for a second look at each page.
    """

    def __init__(self, served: ServedSite, visit: Visit) -> None:
        self.served, self.visit, self.page = served, visit, visit.page
        self.faults: list[str] = []
        self._device = visit.page.context.new_cdp_session(visit.page)

    def open(self, path: str) -> None:
        """Open a page and look at it."""
        self.page.goto(self.served.url + path)
        self.look(path)

    def look(self, name: str) -> None:
        """Run axe on the page as it is, in both forms; once, until another page is opened."""
        # What has been a phone gets back all of a desktop but this, until it opens another page.
        assert self.page.evaluate("matchMedia('(hover: hover)').matches")
        self._examine(f"{name} (desktop)")
        self._become(is_phone=True)
        self._examine(f"{name} (phone)")
        self._become(is_phone=False)

    def _examine(self, name: str) -> None:
        self.faults += [f"{name} {fault}" for fault in self.visit.find_faults()]
        if not self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            self.faults.append(f"{name}: wider than the window")

    def _become(self, is_phone: bool) -> None:
        """Change the window, the pointer and the theme like Playwright at a page's beginning."""
        size = PHONE if is_phone else DESKTOP
        screen = {"screenWidth": size["width"], "screenHeight": size["height"]}
        metrics = {**size, **screen, "deviceScaleFactor": 1, "mobile": is_phone}
        self._device.send("Emulation.setDeviceMetricsOverride", metrics)
        self._device.send("Emulation.setTouchEmulationEnabled", {"enabled": is_phone})
        self.page.emulate_media(color_scheme="dark" if is_phone else "light")

    def send(self, path: str, **fields: str | list[str]) -> None:
        """Send a form, as a page does without its script, and look at the answer."""
        pairs = urlencode(fields, doseq=True)
        with self.page.expect_navigation():
            self.page.evaluate(
                """([path, pairs]) => {
                  const form = document.createElement("form");
                  Object.assign(form, { method: "post", action: path });
                  const token = document.querySelector('meta[name="csrf-token"]').content;
                  const fields = [["csrf_token", token], ...new URLSearchParams(pairs)];
                  for (const [name, value] of fields)
                    form.append(Object.assign(document.createElement("input"), { name, value }));
                  document.body.append(form);
                  form.submit();
                }""",
                [path, pairs],
            )
        self.look(path)


@pytest.fixture
def furnished(studio: ServedSite) -> dict[str, str]:
    """Fill the library, the trash and the drive; return what stands for the parts of addresses."""
    site = studio.site
    site.put_files("Empty", {})
    group, other = site.add_group(["a.jpg", "b.jpg", "c.jpg"]), site.add_group(state="draft")
    # More than those that are related because they are beside it.
    alike = [site.add_group() for _ in range(9)]
    gone = site.add_group(["d.jpg"])
    with site.session() as session:
        sea = make_thumbhash(4, 4, bytes([*(40, 60, 150, 255) * 8, *(220, 210, 160, 255) * 8]))
        for one in (group, *alike):
            images.get_image(session, one, 1).thumbhash = base64.b64encode(sea).decode()
        groups.refresh_groups(session, [group, *alike])
    with site.session() as session:
        missing, shown, changed = (images.get_image(session, group, n) for n in (1, 2, 3))
        shown.group.dimensions = "90 × 60 cm"
        missing.drive_state, missing.offered_item_id = "missing", "a-new-file"
        shown.alt, shown.preview_reason = "", "ImageHub does not decode raw photos."
        changed.drive_state, changed.assumed_profile = "changed", "FOGRA39"
        trash.trash_groups(session, [gone], None)
        letter = inbox.Letter("Mara", "mara@example.org", "Is it still available?")
        keys = get_signing_keys(site.app)
        enquiry = inbox.receive(session, keys, letter, inbox.Signs("", 9), address="::1").id
        share, _ = links.create_share(session, None, [group, other], takes_lists=True)
        session.commit()  # Receiving begins a transaction of its own.
        marked = inbox.ListedWork(group, "Ember", "For the first room")
        listed = inbox.ShareList(share.id, "For the museum", [marked])
        signs, share_id = inbox.Signs("", 9), share.id
        inbox.receive(session, keys, letter, signs, address="::2", listed=listed)
        series = series_edit.create_series(session, "Coast", [group, other])
        series.dates, series.place, series.text = "2019–2024", "Bremen", "Calm and *storm*."
        series_edit.set_series_state(session, series.id, "published")
        series_edit.create_series(session, "Ebb", [group], series.id)
        for title in ("Old", "Older"):
            old = series_edit.create_series(session, title)
            series_trash.trash_series(session, old.id)
        series_id = series.id
        page = pages.create_page(session, "imprint", "Imprint", "## A\n\n|a|b|\n|-|-|\n|c|d|").id
        pages.create_page(session, "privacy", "Privacy")
        settings.save_site(session, get_given_settings(site.app), FURNISHED)
    with site.app.app_context():
        refresh_settings(older_than_seconds=0)
    folder, _ = site.find_folder("Studio")
    empty, _ = site.find_folder("Empty")
    return {
        "group": str(group),
        "other": str(other),
        "series": str(series_id),
        "folder": folder,
        "empty": empty,
        "enquiry": str(enquiry),
        "share": str(share_id),
        "page": str(page),
    }


def test_axe_finds_nothing_on_any_page(served_site: ServedSite, furnished: dict[str, str]) -> None:
    seen: set[str] = set()

    def note(_app: object, template: object, **_: object) -> None:
        seen.add(str(getattr(template, "name", "")))

    with template_rendered.connected_to(note, served_site.site.app):
        visit = served_site.enter(
            "/admin/", color_scheme="light", reduced_motion="reduce", service_workers="block"
        )
        walk = Walk(served_site, visit)
        for paths in PAGES.values():
            for path in paths:
                walk.open(path.format(**furnished))
        expect_parts(walk, furnished)
        walk_through_library(walk, furnished)
        walk_through_drive(walk, furnished)
        walk_through_import(walk, furnished)
        walk_through_enquiries(walk, furnished)
        walk_through_account(walk)
        walk_without_onedrive(walk)
    assert walk.faults == []
    assert list_page_templates() - seen == set()
    visit.complaints.clear()  # the browser logs refusals


def expect_parts(walk: Walk, parts: dict[str, str]) -> None:
    """Check that pages have the parts that axe was to see."""
    for path, part in (
        ("/?shape=landscape", "#filters .chips"),
        (f"/groups/{parts['group']}", ".similar li"),
        ("/admin/settings", "[name=watermark][value=text]:checked"),
        ("/admin/library/trash", "form[action$='/series/purge-all']"),
    ):
        walk.page.goto(walk.served.url + path)
        expect(walk.page.locator(part).first).to_be_attached()


def walk_through_library(walk: Walk, parts: dict[str, str]) -> None:
    walk.open("/admin/library")
    page = walk.page
    page.reload()
    wait_for_script(page)
    page.locator(".bulk:has([name=medium]) > summary").click()
    page.locator("input[name=group]").first.check()
    walk.look("edit several groups")
    page.keyboard.press("Escape")
    walk.send("/admin/library/join", group=[parts["group"], parts["other"]])
    walk.send("/admin/library/publish", all="1")
    walk.send("/admin/library/delete")
    walk.send("/admin/preview", text="# Harbour\n\nCalm and *storm*.")
    walk.send("/admin/library/series", group=parts["group"], series_title=" ")
    walk.send(f"/admin/library/{parts['group']}", year="soon", **{"was-year": ""})
    walk.send("/admin/shares", group=parts["group"], title="For the gallery")
    walk.open("/admin/library/999999")


def walk_through_enquiries(walk: Walk, parts: dict[str, str]) -> None:
    walk.open("/admin/enquiries")
    walk.send("/admin/enquiries/delete", enquiry=parts["enquiry"])
    walk.send(f"/admin/enquiries/{parts['enquiry']}/note", note="n" * 5001)
    walk.send("/admin/settings/enquiries", enquiries="on")
    for path in ("/contact", f"/groups/{parts['group']}/enquire"):
        walk.open(path)
        walk.page.locator(".enquiry-form .button").click()
        walk.page.locator(".enquiry-fault").wait_for()
        walk.look(f"{path} with faults")
    walk.open(f"/contact/sent?work={parts['group']}")
    walk.open("/admin/enquiries")


def walk_through_drive(walk: Walk, parts: dict[str, str]) -> None:
    walk.open("/admin/drive")
    for act in ("ask-rename", "ask-move", "ask-delete"):
        walk.send(f"/admin/drive/{act}", item=parts["folder"])
    walk.send("/admin/connection/root-folder", folder=parts["folder"])


def walk_through_import(walk: Walk, parts: dict[str, str]) -> None:
    walk.send("/admin/import/plan", item=parts["folder"])
    expect(walk.page.locator("#board")).to_be_visible()
    walk.page.get_by_role("button", name="Import 4 files").click()
    walk.page.wait_for_url(re.compile(r"/admin/import/\d+$"))
    walk.look("import")
    walk.open("/admin/import")
    walk.open("/admin/")


def walk_through_account(walk: Walk) -> None:
    page = walk.page
    walk.open("/admin/account")
    walk.send("/admin/account/tokens", name="Backup", scope="read", days="30", password=PASSWORD)
    walk.send("/admin/account/second-step", password=PASSWORD)
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    walk.send("/admin/account/second-step/confirm", code=pyotp.TOTP(secret).now())
    recovery = page.locator("#codes").inner_text().split()
    page.goto(walk.served.url + "/admin/account")
    wait_for_script(page)
    page.keyboard.press("?")
    walk.look("keyboard shortcuts")
    page.context.clear_cookies()
    walk.open("/sign-in")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Code")).to_be_visible()
    walk.look("/sign-in/code")
    page.get_by_label("Code").fill(recovery[0])
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/admin/")


def walk_without_onedrive(walk: Walk) -> None:
    walk.served.onedrive.revoke(access_tokens=True)
    walk.open("/admin/drive")
    walk.open("/admin/connection")
    walk.open("/admin/")
    walk.open("/admin/connection")
    # The page leads to Microsoft by itself, and stays if that has no content.
    walk.page.route("**/authorize?**", lambda route: route.fulfill(status=204))
    walk.send("/admin/connection/connect", access="read")
