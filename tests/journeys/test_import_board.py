"""The import plan in Chromium: a board arranged by drag and keyboard, broken files, no script."""

from playwright.sync_api import Page, expect

from imagehub.models import Group, ImportPlan
from tests.fixtures.served_site import ServedSite, make_picture, wait_for_script


def read_board(page: Page) -> list[tuple[str, list[str]]]:
    """Return title and file names of each proposed group."""
    return [
        (
            bin_.locator("input.bin-title").input_value(),
            bin_.locator(".card-name").all_inner_texts(),
        )
        for bin_ in page.locator(".bin:not(.bin-new)").all()
    ]


def open_plan(served: ServedSite, **options: object) -> Page:
    """Open a plan of the folder Studio, which is selected in the drive."""
    page = served.enter("/admin/drive", **options).page
    plan_studio(page)
    return page


def plan_studio(page: Page) -> None:
    page.get_by_role("checkbox", name="Studio").check()
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/admin/import/plans/*")
    wait_for_script(page)


def arrange(page: Page, way: str) -> None:
    page.get_by_label("Group by").select_option(way)
    # The old board has the same controls, so wait for the new page.
    with page.expect_navigation():
        page.get_by_role("button", name="Regroup").click()


HARBOUR = ("Harbour", ["harbour-front.jpg", "harbour-back.jpg"])
MILL = ("Mill", ["mill-1.jpg", "mill-2.jpg"])


def test_a_board_is_arranged_with_the_keyboard_alone(studio: ServedSite) -> None:
    page = open_plan(studio)
    arrange(page, "stem")
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(2)
    assert read_board(page) == [HARBOUR, MILL]

    page.locator(".card input").first.focus()
    page.keyboard.press("Alt+ArrowRight")
    expect(page.locator("#status")).to_have_text("File 2 of 2")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("#status")).to_have_text("Moved to Mill")
    assert read_board(page) == [
        ("Harbour", ["harbour-back.jpg"]),
        ("Mill", ["mill-1.jpg", "mill-2.jpg", "harbour-front.jpg"]),
    ]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    page.keyboard.press("s")
    expect(page.locator("#status")).to_have_text("Split into a new group")
    assert read_board(page) == [
        ("Harbour", ["harbour-back.jpg"]),
        ("Mill", ["harbour-front.jpg"]),
        ("Mill", ["mill-1.jpg", "mill-2.jpg"]),
    ]
    page.keyboard.press("j")
    expect(page.locator("#status")).to_have_text("Joined")
    page.keyboard.press("x")
    expect(page.locator(".card.is-out")).to_have_count(1)
    expect(page.get_by_role("button", name="Import 3 files")).to_be_visible()
    page.reload()
    assert read_board(page)[1] == ("Mill", ["harbour-front.jpg", "mill-1.jpg", "mill-2.jpg"])


def test_changes_are_undone_with_the_keyboard_from_the_last_to_the_first(
    studio: ServedSite,
) -> None:
    page = open_plan(studio)
    arrange(page, "stem")
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(2)
    title = page.get_by_label("Title of group 2")
    title.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("Old mill")
    page.keyboard.press("Tab")
    expect(page.locator("#status")).to_have_text("Title saved")
    old_mill = ("Old mill", MILL[1])
    assert read_board(page) == [HARBOUR, old_mill]

    page.get_by_role("checkbox", name="mill-1").focus()
    page.keyboard.press("s")
    expect(page.locator("#status")).to_have_text("Split into a new group")
    apart = [HARBOUR, ("Old mill", ["mill-2.jpg"]), ("Mill", ["mill-1.jpg"])]
    assert read_board(page) == apart
    page.keyboard.press("j")
    expect(page.locator("#status")).to_have_text("Joined")
    page.keyboard.press("x")
    expect(page.locator(".card.is-out")).to_have_count(1)
    joined = read_board(page)

    for board in (joined, apart, [HARBOUR, old_mill], [HARBOUR, MILL]):
        page.locator("#status").evaluate("said => { said.textContent = '' }")
        page.keyboard.press("z")
        expect(page.locator("#status")).to_have_text("Undone")
        expect(page.locator(".card.is-out")).to_have_count(0)
        assert read_board(page) == board
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()
    page.keyboard.press("z")
    expect(page.locator("#status")).to_have_text("Nothing to undo")
    page.reload()
    assert read_board(page) == [HARBOUR, MILL]


def test_a_board_is_arranged_by_drag_and_titles_save_themselves(studio: ServedSite) -> None:
    page = open_plan(studio)
    arrange(page, "stem")
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(2)
    page.locator(".card", has_text="mill-2").drag_to(
        page.locator(".card", has_text="harbour-back"), target_position={"x": 5, "y": 30}
    )
    expect(page.locator("#status")).to_have_text("Moved")
    assert read_board(page) == [
        ("Harbour", ["harbour-front.jpg", "mill-2.jpg", "harbour-back.jpg"]),
        ("Mill", ["mill-1.jpg"]),
    ]
    # Both ends of the drag in view, so that nothing scrolls under the pointer.
    page.set_viewport_size({"width": 1280, "height": 1200})
    page.locator(".card", has_text="mill-2").drag_to(page.locator(".bin-new"))
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(3)
    title = page.get_by_label("Title of group 1")
    title.fill("The old harbour")
    title.press("Tab")
    expect(page.locator("#status")).to_have_text("Title saved")
    page.reload()
    assert read_board(page)[0] == ("The old harbour", HARBOUR[1])


def test_a_whole_folder_is_planned_and_discarding_stops_reading(
    studio: ServedSite,
) -> None:
    visit = studio.enter("/admin/drive")
    page = visit.page
    page.get_by_label("Select all").check()
    expect(page.locator("#chosen-words")).to_contain_text("selected")
    studio.onedrive.set_fault("status", status=503, retry_after=600, path="/children")
    with page.expect_request("**/admin/import/plan") as asked:
        page.get_by_role("button", name="Import", exact=True).click()
    assert "all=yes" in (asked.value.post_data or "")
    fault = page.locator("#reading-fault")
    expect(fault).to_contain_text("ImageHub will try again automatically.")
    with studio.site.session() as session:
        session.delete(session.query(ImportPlan).one())
    expect(fault).to_have_text("There is no such import plan.")
    expect(page.locator("[data-reading] progress")).to_be_hidden()
    visit.complaints.clear()


def test_two_windows_on_a_board_keep_each_others_changes(studio: ServedSite) -> None:
    visit = studio.enter("/admin/drive")
    page = visit.page
    plan_studio(page)
    arrange(page, "stem")
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(2)
    other = page.context.new_page()
    other.goto(page.url)
    wait_for_script(other)
    page.get_by_label("Title of group 2").fill("Old mill")
    # A multipart form may have a thousand parts, fewer than a board has pictures.
    with page.expect_request("**/board/rename") as sent:
        page.get_by_label("Keep new groups as drafts").check()
    assert sent.value.headers["content-type"].startswith("application/x-www-form-urlencoded")
    expect(page.locator("#status")).to_have_text("Saved")
    other.get_by_label("Title of group 1").fill("Quay")
    other.keyboard.press("Tab")
    expect(other.locator("#status")).to_have_text("Title saved")
    assert [title for title, _ in read_board(other)] == ["Quay", "Old mill"]
    expect(other.get_by_label("Keep new groups as drafts")).to_be_checked()

    page.locator("[data-join]").click()
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(1)
    page.keyboard.press("z")
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(2)
    assert [title for title, _ in read_board(page)] == ["Quay", "Old mill"]
    # Undoing an older change would also undo the other window's title.
    page.keyboard.press("z")
    expect(page.locator("#status")).to_have_text("Nothing to undo")
    page.locator("[data-join]").click()
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(1)
    other.locator("[data-join]").click()
    expect(other.locator(".toast.is-fault")).to_be_visible()
    expect(other.locator(".bin:not(.bin-new)")).to_have_count(1)
    other.locator("#start").click()
    other.wait_for_url("**/admin/import/1")
    page.keyboard.press("z")
    page.wait_for_url("**/admin/import/1")
    with studio.site.session() as session:
        groups = [(group.title, group.state) for group in session.query(Group)]
    assert groups == [("Quay", "draft")]
    # The answer that the import has already started.
    visit.complaints.clear()


def test_twenty_images_with_two_broken_ones_are_imported_and_retried(
    served_site: ServedSite,
) -> None:
    files = {f"sea-{n:02}.jpg": make_picture(n) for n in range(18)}
    broken = {f"lost-{n}.jpg": b"\xff\xd8\xff\xe0 cut %d" % n for n in (1, 2)}
    served_site.site.put_files("Studio", files | broken)
    page = open_plan(served_site)
    expect(page.locator('[data-included="20"]')).to_be_visible()
    page.get_by_label("Keep new groups as drafts").check()
    page.get_by_role("button", name="Import 20 files").click()
    page.wait_for_url("**/admin/import/*")
    # Leaving the page and opening it again loses nothing.
    address = page.url
    page.goto(f"{served_site.url}/admin/import")
    with served_site.site.working():
        page.goto(address)
        expect(page.get_by_text("18 images imported; 2 files failed.").first).to_be_visible(
            timeout=60_000
        )
        failures = page.locator(".failures li")
        expect(failures).to_have_count(2)
        expect(failures.first).to_contain_text("incomplete")
        for n, name in enumerate(broken):
            served_site.site.put_files("Studio", {name: make_picture(50 + n)})
        page.get_by_role("button", name="Retry").click()
        expect(page.get_by_text("20 images imported.").first).to_be_visible(timeout=60_000)
    page.goto(f"{served_site.url}/admin/library?filter=draft")
    expect(page.get_by_text("20 shots")).to_be_visible()


def test_a_plan_is_arranged_and_started_without_a_script(studio: ServedSite) -> None:
    visit = studio._visit(f"{studio.url}/sign-in?next=/admin/drive", java_script_enabled=False)
    page = visit.page
    page.fill("[name=name]", "Ada")
    page.fill("[name=password]", "correct horse battery")
    page.press("[name=password]", "Enter")
    page.get_by_role("checkbox", name="Studio").check()
    page.get_by_role("button", name="Import", exact=True).click()
    arrange(page, "stem")
    page.get_by_role("checkbox", name="mill-1").check()
    page.get_by_label("Move to").select_option(label="Harbour")
    with page.expect_navigation():
        page.get_by_role("button", name="Move", exact=True).click()
    assert read_board(page) == [
        ("Harbour", [*HARBOUR[1], "mill-1.jpg"]),
        ("Mill", ["mill-2.jpg"]),
    ]
    page.get_by_label("Title of group 2").fill("Old mill")
    page.get_by_role("button", name="Import 4 files").click()
    expect(page.get_by_role("heading", name="Import of 4 files")).to_be_visible()
    expect(page.locator(".into")).to_contain_text("Old mill")
    visit.complaints.clear()
