"""An original changed in OneDrive is detected, listed, imported and shown on the wall."""

from io import BytesIO

from flask import Flask
from PIL import Image as Picture
from playwright.sync_api import Page, expect
from sqlalchemy import select, update

from imagehub.database import db
from imagehub.domain.imports.jobs import Selection, create_import
from imagehub.models import DriveAccount, Image, ImportItem, ImportJob
from imagehub.queue import enqueue_job
from imagehub.wiring import get_settings
from tests.fixtures.served_site import ServedSite, wait_for_script


def make_sheet(color: tuple[int, int, int]) -> bytes:
    buffer = BytesIO()
    Picture.new("RGB", (240, 160), color).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def ask_for_import(app: Flask, folder_id: str, files: dict[str, str]) -> None:
    with app.app_context():
        session = db.session()
        account = session.scalars(select(DriveAccount)).one()
        chosen = Selection(folder_id, "Sheets", None, [(one, name) for name, one in files.items()])
        job = create_import(session, account.id, None, [chosen])
        job_id = job.id
        session.commit()
        enqueue_job(get_settings(app), job_id)


def wait_for_list(page: Page, words: str) -> None:
    """Reload, like a person, until the list contains the words."""
    for _ in range(120):
        if page.get_by_text(words, exact=False).count():
            return
        page.wait_for_timeout(250)
        page.reload()
    raise AssertionError(f"the page never said {words!r}: {page.inner_text('main')}")


def read_color(page: Page) -> tuple[int, int, int]:
    """Return the colour in the middle of the first picture on the wall."""
    picture = page.locator("main img").first
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('main img').naturalWidth > 0")
    shot = Picture.open(BytesIO(picture.screenshot())).convert("RGB")
    color = shot.getpixel((shot.width // 2, shot.height // 2))
    assert isinstance(color, tuple)
    return color  # type: ignore[return-value]


def test_a_changed_original_is_shown_after_using_its_new_version(
    served_site: ServedSite,
) -> None:
    site = served_site.site
    site.put_files(
        "Sheets", {"one.jpg": make_sheet((200, 30, 30)), "two.jpg": make_sheet((9, 9, 9))}
    )
    folder_id, files = site.find_folder("Sheets")
    with site.working():
        ask_for_import(site.app, folder_id, files)
        page = served_site.enter("/admin/connection").page
        wait_for_list(page, "Check originals now")
        for _ in range(240):
            with site.session() as session:
                states = session.scalars(select(ImportJob.state)).all()
            if states == ["finished"]:
                break
            page.wait_for_timeout(250)
        page.get_by_role("button", name="Check originals now").click()
        wait_for_list(page, "Checked")

        (site.onedrive.root / "Sheets" / "one.jpg").write_bytes(make_sheet((20, 40, 210)))
        (site.onedrive.root / "Sheets" / "two.jpg").unlink()
        page.get_by_role("button", name="Check originals now").click()
        wait_for_script(page)
        page.goto(f"{served_site.url}/admin/library?filter=changed")
        wait_for_list(page, "· 1 changed")

        wall = page.context.new_page()
        wall.goto(served_site.url)
        red, _, blue = read_color(wall)
        assert red > 150 and blue < 100, "the wall shows what the artist has chosen"

        page.get_by_label("Select “Sheets”").check()
        page.get_by_role("button", name="Use new versions").click()
        expect(page.get_by_text("1 new version is being imported.")).to_be_visible()
        for _ in range(240):
            with site.session() as session:
                state = session.scalar(select(Image.drive_state).where(Image.name == "one.jpg"))
            if state == "ok":
                break
            page.wait_for_timeout(250)
        page.goto(f"{served_site.url}/admin/library?filter=missing")
        expect(page.get_by_text("· 1 missing")).to_be_visible()
        page.get_by_role("link", name="Sheets").click()
        expect(page.get_by_text("Missing in OneDrive")).to_be_visible()
        expect(page.get_by_text("Changed in OneDrive")).to_have_count(0)
        wall.reload()
        red, _, blue = read_color(wall)
        assert blue > 150 and red < 100, "the new version hangs there"


def test_a_file_saved_again_is_used_from_the_drive_page(served_site: ServedSite) -> None:
    site = served_site.site
    site.put_files("Sheets", {"one.jpg": make_sheet((200, 30, 30))})
    folder_id, files = site.find_folder("Sheets")
    number = site.add_group(["one.jpg"])
    offered = {"drive_state": "missing", "offered_item_id": files["one.jpg"]}
    with site.session() as session:
        session.execute(update(Image).values(folder_id=folder_id, **offered))
    visit = served_site.enter(f"/admin/library/{number}/shots/1/original")
    page = visit.page
    expect(page.get_by_role("button", name="Use one.jpg")).to_be_visible()
    assert visit.find_faults() == []
    page.goto(f"{served_site.url}/admin/drive/{folder_id}")
    wait_for_script(page)
    row = page.locator("#entries .item", has_text="one.jpg")
    expect(row.locator('[name="item"]')).to_be_enabled()
    row.locator('[data-act="use-file"]').click()
    expect(page.get_by_text("1 file is being imported.")).to_be_visible()
    assert page.url.endswith(f"/admin/drive/{folder_id}")
    with site.session() as session:
        items = session.scalars(select(ImportItem.drive_item_id)).all()
    assert items == [files["one.jpg"]]
