"""A share link in Chromium: created, opened by a stranger with its password, revoked."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from playwright.sync_api import expect

from imagehub.domain.sharing import links
from imagehub.models import AuditEntry, Group, ShareLink
from tests.fixtures.browser import Visit, wait_until_open
from tests.fixtures.holding import hold
from tests.fixtures.importing import make_jpeg
from tests.fixtures.served_site import ServedSite, wait_for_script


def test_a_draft_is_shared_with_a_password_and_an_expiry(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    site = served_site.site
    site.put_files("Waves", {"front.jpg": make_jpeg(1, (900, 600)), "back.jpg": make_jpeg(2)})
    folder_id, ids = site.find_folder("Waves")
    files = [{"file_name": name, "file_id": one} for name, one in ids.items()]
    chosen = {folder_id: {"all_image_id": files, "group": -1, "folder_name": "Waves"}}
    with site.working():
        assert site.send("/admin/add/image", {"image_list": chosen})["code"] == 1
    with site.session() as session:
        group = session.query(Group).one()
        group.title, group.medium = "Not yet for everybody", "Oil on linen"
        group.availability = "available"

    # A time zone with daylight saving time, behind UTC; the script sends the offset.
    clock = "America/Los_Angeles"
    last_day = (datetime.now(ZoneInfo(clock)) + timedelta(days=7)).date()
    admin = served_site.enter("/admin/library", timezone_id=clock)
    page = admin.page
    page.get_by_role("checkbox", name="Select “Not yet for everybody”").check()
    page.get_by_role("button", name="Unpublish").click()
    expect(page.locator(".toast", has_text="1 group is now a draft.")).to_be_visible()
    wait_for_script(page)
    page.get_by_role("checkbox", name="Select “Not yet for everybody”").check()
    page.get_by_role("button", name="Share", exact=True).click()
    page.get_by_label("Title").fill("For the museum")
    expect(page.get_by_label("Expiry date")).to_have_accessible_description(
        "The link expires at the end of this day, at midnight your time. "
        "If it is empty, the link works until you revoke it."
    )
    page.get_by_label("Expiry date").fill(f"{last_day:%Y-%m-%d}")
    page.get_by_label("Password").fill("open sesame")
    page.get_by_label("Visitors may download full-size images").check()
    page.get_by_role("button", name="Create link").click()
    address = page.get_by_role("textbox", name="Address").input_value()
    row = page.get_by_role("row", name="For the museum")
    expect(row.get_by_role("cell").first).to_have_text(f"{last_day:%-d %B %Y}")
    end = datetime.combine(last_day, time(23, 59, 59), ZoneInfo(clock))
    with site.session() as session:
        assert session.query(ShareLink).one().expires_at == end
    assert site.get("/").text.count("Not yet for everybody") == 0

    stranger = visit(address, is_phone=True)
    theirs = stranger.page
    expect(theirs.get_by_text("Not yet for everybody")).to_have_count(0)
    assert stranger.find_faults() == []
    theirs.get_by_label("Password").fill("a guess")
    theirs.get_by_role("button", name="Show images").click()
    expect(theirs.get_by_role("alert")).to_have_text("The password is wrong.")
    theirs.get_by_label("Password").fill("open sesame")
    theirs.get_by_role("button", name="Show images").click()
    expect(theirs.get_by_role("heading", name="For the museum")).to_be_visible()
    expect(theirs.get_by_role("heading", name="Not yet for everybody")).to_be_visible()
    for picture in theirs.locator(".tile img").all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("(img) => img.decode()")
    assert stranger.find_faults() == []
    assert theirs.evaluate("document.documentElement.scrollWidth <= innerWidth")
    theirs.locator("a[data-shot='2']").click()
    viewer = theirs.get_by_role("dialog", name="Image viewer: Not yet for everybody")
    expect(viewer).to_be_visible()
    expect(theirs).to_have_url(re.compile(rf"^{address}/\d+/2$"))
    wait_until_open(theirs)
    theirs.get_by_role("button", name="About this work").click()
    label = theirs.get_by_role("complementary", name="About this work")
    expect(label).to_contain_text("Oil on linen")
    expect(label).to_contain_text("Available")
    assert stranger.find_faults() == []
    theirs.reload()
    wait_until_open(theirs)
    theirs.keyboard.press("Escape")
    expect(theirs.locator(".pswp")).to_have_count(0)
    expect(theirs).to_have_url(re.compile(rf"^{address}/\d+$"))
    expect(theirs.get_by_role("heading", name="Not yet for everybody")).to_be_visible()
    assert stranger.find_faults() == []
    theirs.get_by_role("link", name="For the museum").click()
    expect(theirs).to_have_url(address)
    with theirs.expect_download() as download:
        theirs.get_by_role("link", name="Full-size image").first.click()
    assert download.value.path().read_bytes() in (make_jpeg(1, (900, 600)), make_jpeg(2))

    page.goto(f"{served_site.url}/admin/shares")
    expect(page.get_by_role("row", name="For the museum")).to_contain_text(
        re.compile(r"\b1\s*last")
    )
    assert admin.find_faults() == []
    with site.session() as session:
        session.query(ShareLink).one().expires_at = datetime.now(UTC) - timedelta(seconds=1)
    theirs.reload()
    expect(theirs.get_by_role("heading", name="This link is no longer valid")).to_be_visible()
    assert stranger.find_faults() == []
    with site.session() as session:
        session.query(ShareLink).one().expires_at = None
    theirs.reload()
    expect(theirs.get_by_role("heading", name="For the museum")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="For the museum")).to_contain_text("Revoked")
    theirs.reload()
    expect(theirs.get_by_role("heading", name="This link is no longer valid")).to_be_visible()
    # Chromium logs each refusal.
    stranger.complaints = [text for text in stranger.complaints if "401" not in text]
    stranger.complaints[:] = [text for text in stranger.complaints if "410" not in text]


def test_share_links_work_without_a_script(
    served_site: ServedSite,
) -> None:
    number = served_site.site.add_group(["a.jpg"])
    admin = served_site.enter(f"/admin/shares/new?group={number}", java_script_enabled=False)
    page = admin.page
    page.get_by_label("Title").fill("For the museum")
    page.get_by_label("Expiry date").fill("2020-01-01")
    page.get_by_label("Password", exact=True).fill("open sesame")
    page.get_by_role("button", name="Create link").click()
    last_day = page.get_by_label("Expiry date")
    expect(last_day).to_have_accessible_description("This date is in the past.")
    password = page.get_by_label("Password", exact=True)
    expect(password).to_have_value("")
    expect(password).to_have_accessible_description(
        "Enter the password again. For security, it is not kept in the form."
    )
    last_day.fill("2999-12-31")
    page.get_by_role("button", name="Create a password for me").click()
    expect(password).to_have_value(re.compile("^[0-9a-z]{4}(-[0-9a-z]{4}){3}$"))
    expect(password).to_be_focused()
    made = password.input_value()
    password.press("Enter")
    expect(page.get_by_text(made)).to_be_visible()
    address = page.get_by_role("textbox", name="Address").input_value()
    row = page.get_by_role("row", name="For the museum")
    expect(row).to_contain_text("31 December 2999, 23:59 UTC")
    page.get_by_role("button", name="Revoke “For the museum”").click()
    expect(row).to_contain_text("Revoked")
    page.get_by_role("button", name="Undo").click()
    expect(row).to_contain_text("31 December 2999, 23:59 UTC")
    assert served_site.site.get(address).status_code == 200
    renew = page.get_by_role("button", name="Replace the link “For the museum”")
    renew.click()
    row.get_by_label("Confirm").check()
    renew.click()
    fresh = page.get_by_role("textbox", name="Address").input_value()
    assert served_site.site.get(address).status_code == 404
    assert served_site.site.get(fresh).status_code == 200
    with served_site.site.session() as session:
        names = session.query(AuditEntry.subject).filter_by(action="replace_share").all()
    assert names == [("For the museum",)]
    admin.complaints.clear()  # the browser logs the 422


def test_on_phones_the_large_picture_of_a_shared_work_comes_first(
    served_site: ServedSite, group: int, visit: Callable[..., Visit]
) -> None:
    with served_site.site.session() as session:
        _, token = links.create_share(session, None, [group])
    stranger = visit("about:blank", is_phone=True)
    page = stranger.page
    clock = page.context.new_cdp_session(page)
    clock.send("Animation.enable")
    clock.send("Animation.setPlaybackRate", {"playbackRate": 0})
    held = hold(page, "/renditions/")
    page.goto(f"{served_site.url}/s/{token}/{group}", wait_until="domcontentloaded")
    held.wait()
    others = page.locator(".tile img")
    assert others.count() == 2
    assert not any(other.is_visible() for other in others.all())
    assert len(held.routes) == 1
    page.evaluate("scrollBy(0, 8)")
    held.wait(2)
    held.forget()
