"""Admin pages in Chromium: first run, connection, two-factor sign-in, settings, shortcuts."""

import re
from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import Page, expect

from imagehub.domain.imports import jobs
from imagehub.domain.imports.jobs import Selection
from imagehub.domain.library.images import get_image
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.onedrive import accounts
from imagehub.domain.site import pages
from imagehub.models import Group
from tests.fixtures.browser import Visit, stop_clock
from tests.fixtures.served_site import ServedSite, make_picture, serve, wait_for_script
from tests.fixtures.site import NAME, PASSWORD


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def expect_toast(page: Page, words: str) -> None:
    expect(page.locator(".toast", has_text=words)).to_be_visible()


# --- The connection -------------------------------------------------------------------------------


@pytest.mark.parametrize("has_script", [True, False])
def test_the_first_run_connects_the_drive(
    served_unconnected_site: ServedSite, has_script: bool
) -> None:
    """Microsoft's sign-in uses more hosts than the one the hub redirects to."""
    served = served_unconnected_site
    served.onedrive.set_fault("other_login_host")
    served.site.put_files("Wellen", {"front.jpg": make_picture(1)})
    visit = served._visit(f"{served.url}/sign-in", java_script_enabled=has_script)
    page = visit.page
    sign_in(page, served.url)
    expect(page.locator("[data-step=connect]")).to_be_visible()
    page.get_by_role("link", name="Connect OneDrive").click()
    page.get_by_role("button", name="Connect OneDrive").click()
    page.wait_for_url("http://localhost:*/common/oauth2/v2.0/authorize?**")
    page.get_by_role("button", name="Consent").click()
    expect(page.get_by_role("heading", name="OneDrive is connected")).to_be_visible()
    expect_toast(page, "OneDrive is connected.")
    expect(page.get_by_text("Personal OneDrive")).to_be_visible()

    page.get_by_role("link", name="Select another folder").click()
    page.get_by_role("link", name="Wellen").click()
    page.get_by_role("button", name="Use this folder").click()
    expect(page.locator(".root-path")).to_have_text(re.compile("/Wellen"))
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Connect OneDrive")).to_be_visible()
    expect(page.locator(".step.is-done")).to_have_count(1)
    visit.complaints.clear()


def test_from_sign_in_to_the_first_published_picture(
    served_unconnected_site: ServedSite,
) -> None:
    served = served_unconnected_site
    pictures = {"front.jpg": make_picture(1), "back.jpg": make_picture(2)}
    served.site.put_files("Wellen", pictures)
    visit = served._visit(f"{served.url}/sign-in")
    page = visit.page
    with served.site.working():
        sign_in(page, served.url)
        page.get_by_role("link", name="Connect OneDrive").click()
        page.get_by_role("button", name="Connect OneDrive").click()
        page.get_by_role("button", name="Consent").click()
        page.get_by_role("link", name="Home").click()
        page.get_by_role("link", name="Open drive").click()
        wait_for_script(page)
        page.get_by_role("checkbox", name="Wellen").check()
        page.get_by_role("button", name="Import", exact=True).click()
        page.get_by_role("button", name="Import 2 files").click()
        expect(page.get_by_text("2 images imported.").first).to_be_visible(timeout=60_000)
    page.goto(served.url)
    expect(page.get_by_role("link", name="Wellen")).to_be_visible()
    page.goto(f"{served.url}/admin/")
    expect(page.locator("[data-figure=groups]")).to_be_visible()
    expect(page.get_by_role("link", name="Add alt texts")).to_be_visible()
    visit.complaints.clear()


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_write_permission_is_requested_when_first_needed(
    served_unconnected_site: ServedSite, has_script: bool
) -> None:
    served = served_unconnected_site
    served.site.put_files("Wellen", {})
    visit = served._visit(f"{served.url}/sign-in", java_script_enabled=has_script)
    page = visit.page
    sign_in(page, served.url)
    page.goto(f"{served.url}/admin/connection")
    page.get_by_role("button", name="Connect OneDrive").click()
    page.get_by_role("button", name="Consent").click()
    page.goto(f"{served.url}/admin/drive")
    page.locator("#entries a", has_text="Wellen").click()
    expect(page.get_by_role("heading", name="Wellen")).to_be_visible()
    note = page.get_by_role("region", name="ImageHub may only read")
    expect(note).to_be_visible()
    if has_script:
        page.set_input_files(
            "#pick-files",
            {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": make_picture(3)},
        )
        words = page.locator("#uploads [role=alert]")
        expect(words).to_contain_text("ImageHub may only read in OneDrive so far.")
        visit.complaints.clear()  # the browser logs the refusal
    else:
        page.locator("#new-folder-box > summary").click()
        page.get_by_label("Name of the new folder").fill("Neu")
        page.get_by_role("button", name="Create folder").click()
        expect(note).to_be_visible()
    assert not list((served.onedrive.root / "Wellen").iterdir())

    note.get_by_role("button", name="Allow uploads and changes").click()
    page.get_by_role("button", name="Consent").click()
    expect(page.get_by_role("heading", name="Wellen")).to_be_visible()
    expect(note).to_be_hidden()
    if has_script:  # The pending uploads are still there, and continue automatically.
        expect(page.locator("#uploads h2")).to_have_text("1 file uploaded", timeout=30_000)
        assert (served.onedrive.root / "Wellen" / "a.jpg").read_bytes() == make_picture(3)
    else:
        page.locator("#new-folder-box > summary").click()
        page.get_by_label("Name of the new folder").fill("Neu")
        page.get_by_role("button", name="Create folder").click()
        expect(page.locator("#entries")).to_contain_text("Neu")
        assert (served.onedrive.root / "Wellen" / "Neu").is_dir()
    visit.complaints.clear()


def test_a_lost_connection_is_reported_and_restored(served_site: ServedSite) -> None:
    served_site.site.add_group(["a.jpg"])
    served_site.onedrive.revoke(access_tokens=True)
    visit = served_site.enter("/admin/connection")
    page = visit.page
    page.get_by_role("button", name="Check connection").click()
    expect(page.get_by_role("heading", name="OneDrive must be reconnected")).to_be_visible()
    page.get_by_role("link", name="Home").click()
    expect(page.locator(".note.is-fault")).to_contain_text("OneDrive is not connected")
    page.get_by_role("link", name="Reconnect").click()
    page.get_by_role("button", name="Reconnect").click()
    page.get_by_role("button", name="Consent").click()
    expect(page.get_by_role("heading", name="OneDrive is connected")).to_be_visible()
    page.get_by_role("button", name="Check connection").click()
    expect_toast(page, "OneDrive responds, and the root folder exists.")
    visit.complaints.clear()


def test_error_messages_stay_until_closed(served_site: ServedSite) -> None:
    served_site.onedrive.set_fault("gone")
    visit = served_site.enter("/admin/connection")
    page = visit.page
    page.clock.install()
    page.get_by_role("button", name="Check connection").click()
    expect_toast(page, "OneDrive cannot be reached at the moment.")
    page.clock.fast_forward(120_000)
    expect_toast(page, "OneDrive cannot be reached at the moment.")
    page.locator(".toast").get_by_role("button", name="Close").click()
    expect(page.locator(".toast")).to_have_count(0)
    served_site.onedrive.clear_faults()
    visit.complaints.clear()


def test_disconnecting_asks_for_confirmation(served_site: ServedSite) -> None:
    page = served_site.enter("/admin/connection").page
    page.get_by_text("Disconnect…").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="OneDrive is connected")).to_be_visible()
    page.get_by_text("Disconnect…").click()
    page.get_by_role("button", name="Disconnect OneDrive").click()
    expect(page.get_by_role("heading", name="OneDrive is disconnected")).to_be_visible()


# --- Two-factor sign-in ---------------------------------------------------------------------------


def test_two_factor_sign_in_from_setup_to_the_lost_phone(served_site: ServedSite) -> None:
    visit = served_site.enter("/admin/account")
    page = visit.page
    page.get_by_text("Turn on…").click()
    page.locator("#on-password").fill(PASSWORD)
    page.locator("#second-step").get_by_role("button", name="Continue").click()
    expect(page.locator(".qr svg")).to_be_visible()
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    totp = pyotp.TOTP(secret)
    page.get_by_label("Code").fill(totp.now())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", name="Two-factor authentication is on")).to_be_visible()
    recovery = page.locator("#codes").inner_text().split()
    assert len(recovery) == 10
    page.get_by_role("link", name="I have saved the codes").click()
    expect(page.get_by_text("10 recovery codes left.")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    sign_in(page, served_site.url)
    expect(page.get_by_role("heading", name="Two-factor authentication")).to_be_visible()
    assert visit.find_faults() == []
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("This code is wrong")
    page.get_by_label("Code").fill(recovery[0])
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    page.goto(f"{served_site.url}/admin/account")
    expect(page.get_by_text("9 recovery codes left.")).to_be_visible()
    visit.complaints.clear()  # the browser logs the 401


# --- Account and settings -------------------------------------------------------------------------


def test_a_token_is_created_copied_and_revoked(served_site: ServedSite) -> None:
    visit = served_site.enter("/admin/account", permissions=["clipboard-read", "clipboard-write"])
    page = visit.page
    page.get_by_label("Name of the token").fill("Backup of the studio")
    password = page.locator("#tokens").get_by_label("Your password")
    password.fill("not my password")
    page.get_by_role("button", name="Create token").click()
    expect(password).to_be_focused()
    expect(password).to_have_accessible_description("This is not your password.")
    expect(page.get_by_label("Name of the token")).to_have_value("Backup of the studio")
    visit.complaints.clear()  # the browser logs the 422
    password.fill(PASSWORD)
    page.get_by_role("button", name="Create token").click()
    token = page.locator("#new-token").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect_toast(page, "Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == token
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("cell", name="Backup of the studio").first).to_be_visible()
    expect(page.locator("#new-token")).to_have_count(0)
    page.get_by_role("button", name="Revoke the token Backup of the studio").click()
    dialog = page.get_by_role("dialog", name="Revoke the token “Backup of the studio”?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Revoke the token Backup of the studio").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect_toast(page, "was revoked.")
    answer = served_site.site.get("/auth", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def fill_token(page: Page) -> None:
    page.get_by_label("Name of the token").fill("Backup of the studio")
    page.locator("#tokens").get_by_label("Your password").fill(PASSWORD)


def test_a_double_click_creates_one_token(served_site: ServedSite) -> None:
    page = served_site.enter("/admin/account").page
    fill_token(page)
    # Both clicks come before the answer to the first.
    page.get_by_role("button", name="Create token").evaluate(
        "(one) => { one.click(); one.click() }"
    )
    expect(page.locator("#new-token")).to_be_visible()
    expect(page.get_by_role("button", name="Revoke the token Backup of the studio")).to_have_count(
        1
    )


def test_every_confirmation_is_asked_again(served_site: ServedSite) -> None:
    page = served_site.enter("/admin/account", service_workers="block").page
    fill_token(page)
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#new-token")).to_be_visible()
    # An answer without content, so that the page does not change.
    page.route("**/admin/account/**", lambda route: route.fulfill(status=204))
    end = page.get_by_role("button", name="Revoke the token Backup of the studio")
    dialog = page.get_by_role("dialog", name="Revoke the token “Backup of the studio”?")
    for _ in range(2):
        end.click()
        with page.expect_response("**/admin/account/**"):
            dialog.get_by_role("button", name="Revoke").click()
        expect(dialog).to_have_count(0)


def test_a_focused_toast_stays_and_returns_the_focus(served_site: ServedSite) -> None:
    visit = served_site.enter("/admin/account", permissions=["clipboard-read", "clipboard-write"])
    page = visit.page
    fill_token(page)
    page.get_by_role("button", name="Create token").click()
    copy = page.get_by_role("button", name="Copy")
    copy.wait_for()
    page.clock.install()
    stop_clock(page)
    copy.click()
    close = page.locator(".toast", has_text="Copied.").get_by_role("button", name="Close")
    close.focus()
    # A passing pointer does not close it.
    close.hover()
    page.mouse.move(5, 5)
    page.clock.run_for(20_000)
    expect(close).to_be_focused()
    close.press("Enter")
    expect(page.locator(".toast", has_text="Copied.")).to_have_count(0)
    expect(copy).to_be_focused()


@pytest.mark.parametrize("has_script", [True, False])
def test_the_site_title_comes_from_the_settings(served_site: ServedSite, has_script: bool) -> None:
    visit = served_site._visit(f"{served_site.url}/sign-in", java_script_enabled=has_script)
    page = visit.page
    sign_in(page, served_site.url)
    page.goto(f"{served_site.url}/admin/settings")
    page.get_by_label("Title").fill("Haus der Bilder")
    page.get_by_label("Publish a feed of new works").uncheck()
    page.get_by_role("button", name="Save").click()
    expect_toast(page, "Settings saved.")
    expect(page.locator(".rail-brand")).to_have_text("Haus der Bilder")
    expect(page.get_by_label("Publish a feed of new works")).not_to_be_checked()
    visit.complaints.clear()


# --- Home -----------------------------------------------------------------------------------------


def test_home_says_that_its_session_has_ended(studio: ServedSite) -> None:
    folder, files = studio.site.find_folder("Studio")
    with studio.site.session() as session:
        account_id = accounts.get_active_account(session).id
        chosen = Selection(folder, "Studio", None, [(id_, name) for name, id_ in files.items()])
        jobs.create_import(session, account_id, None, [chosen])
    visit = studio.enter("/admin/")
    expect(visit.page.get_by_role("link", name="Import 1")).to_be_visible()
    visit.page.context.clear_cookies()
    expect_toast(visit.page, "You have been signed out. Please sign in again.")
    visit.complaints.clear()  # the browser logs the 401


# --- Keyboard, phones, accessibility --------------------------------------------------------------


def test_keyboard_shortcuts_work_and_can_be_disabled(served_site: ServedSite) -> None:
    visit = served_site.enter("/admin/settings")
    page = visit.page
    page.keyboard.press("?")
    help_list = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_list).to_be_visible()
    expect(help_list).to_contain_text("Go to Connection")
    page.keyboard.press("Escape")
    page.get_by_label("Title").press("?")
    expect(help_list).not_to_be_visible()
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/admin/connection")
    page.keyboard.press("?")
    help_list.get_by_label("Use keyboard shortcuts").uncheck()
    help_list.get_by_role("button", name="Close").click()
    page.keyboard.press("?")
    expect(help_list).not_to_be_visible()
    # Chromium logs that a navigation had no view transition.
    visit.complaints[:] = [text for text in visit.complaints if "Transition" not in text]


def test_the_bottom_bar_has_every_page_on_a_phone(served_site: ServedSite) -> None:
    page = served_site.enter("/admin/settings", is_phone=True).page
    expect(page.get_by_role("link", name="Account")).not_to_be_visible()
    page.get_by_role("button", name="More").click()
    page.get_by_role("link", name="Account").click()
    page.wait_for_url("**/admin/account")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_on_a_tint_is_readable(
    served_site: ServedSite, visit: Callable[..., Visit], theme: str
) -> None:
    """A setting that is locked by the server, and the selected row of the library."""
    served_site.site.add_group(["a.jpg"])
    with serve(served_site.site.restart(title="Haus der Bilder"), visit) as locked:
        seen = locked.enter("/admin/settings", color_scheme=theme)
        expect(seen.page.locator("output#title")).to_have_text("Haus der Bilder")
        assert seen.find_faults() == []
        seen.page.goto(f"{locked.url}/admin/library")
        seen.page.get_by_role("checkbox", name=re.compile("^Select “")).check()
        assert seen.find_faults() == []


def test_the_images_for_texts_begin_at_the_top(served_site: ServedSite) -> None:
    for name in ("a.jpg", "b.jpg"):
        served_site.site.add_group([name])
    page = served_site.enter("/admin/pages/pictures").page
    wait_for_script(page)
    line = page.locator(".picture-choices input").last
    expect(line).not_to_be_focused()
    line.focus()
    chosen = page.evaluate("document.activeElement.selectionEnd")
    assert chosen == len(line.input_value())


def test_an_image_is_put_into_a_text_with_the_keyboard(served_site: ServedSite) -> None:
    site = served_site.site
    first = site.add_group(["a.jpg", "b.jpg"])
    site.add_group(["c.jpg"])
    with site.session() as session:
        session.get_one(Group, first).title = "Sea"
        shot = get_image(session, first, 2).id
        refresh_search(session, [first])
        number = pages.create_page(session, "about", "About", "Before.\n\nAfter.").id
    page = served_site.enter(f"/admin/pages/{number}").page
    wait_for_script(page)
    field = page.locator("#text")
    field.evaluate("field => field.setSelectionRange(7, 7)")
    page.get_by_role("link", name="Insert image").press("Enter")
    dialog = page.get_by_role("dialog", name="Insert image")
    expect(dialog.get_by_role("radio")).to_have_count(2)
    expect(dialog.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("sea")
    expect(dialog.get_by_role("radio")).to_have_count(1)
    expect(dialog.get_by_role("button", name="Insert")).to_be_disabled()
    dialog.get_by_role("button", name="Show the shots of “Sea”").press("Enter")
    expect(dialog.get_by_role("radio")).to_have_count(2)
    expect(dialog.get_by_role("radio").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_text("What b.jpg shows")).to_be_visible()
    dialog.get_by_label("Caption").fill("The [back]")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(field).to_be_focused()
    expect(field).to_have_value(f"Before.\n\n![The back](image:{shot})\n\nAfter.")
