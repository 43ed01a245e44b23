"""The import board and its progress when answers are late."""

import re
import time

from playwright.sync_api import Locator, Page, expect

from imagehub.models import ImportItem, ImportJob
from tests.fixtures.holding import Held, hold
from tests.fixtures.served_site import ServedSite
from tests.journeys.test_import_board import arrange, open_plan, plan_studio, read_board

BOARD = "/admin/import/plans/[0-9]+/board/"


def open_board(studio: ServedSite) -> Page:
    """Open a plan with the groups Harbour and Mill, without a service worker."""
    page = open_plan(studio, service_workers="block")
    arrange(page, "stem")
    expect(page.locator(".bin:not(.bin-new)")).to_have_count(2)
    return page


def rename_slowly(page: Page) -> tuple[Held, Locator]:
    """Rename the first group, with the request to save it held.

    :return: the held request, and the focused title field of the second group.
    """
    held = hold(page, BOARD, has_answers=True)
    second = page.get_by_label("Title of group 2")
    page.get_by_label("Title of group 1").fill("The old harbour")
    second.focus()
    held.wait()
    return held, second


def expect_said(page: Page, words: str) -> None:
    expect(page.locator("#status")).to_have_text(words)


def test_input_during_a_title_save_is_kept(studio: ServedSite) -> None:
    page = open_board(studio)
    held, second = rename_slowly(page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.post_data}"))
    page.get_by_role("checkbox", name="mill-2").check()
    page.get_by_label("Keep new groups as drafts").check()
    page.get_by_label("Move to").select_option(label="Mill")
    second.focus()
    page.keyboard.press("End")
    page.keyboard.type(" at no")
    held.let_go()
    expect_said(page, "Title saved")
    page.keyboard.type("on")
    expect(second).to_have_value("Mill at noon")
    expect(page.get_by_role("checkbox", name="mill-2")).to_be_checked()
    expect(page.get_by_label("Keep new groups as drafts")).to_be_checked()
    expect(page.get_by_label("Move to")).to_have_value(
        str(page.locator(".bin").nth(1).get_attribute("data-bin"))
    )
    # A partial title is not saved as a separate step.
    assert not [one for one in sent if "/board" in one and "title-" in one]
    # The choice of drafts is saved by a separate call.
    with page.expect_response(lambda answer: "noon" in (answer.request.post_data or "")):
        page.keyboard.press("Tab")
    page.reload()
    assert [title for title, _ in read_board(page)] == ["The old harbour", "Mill at noon"]


def test_a_title_typed_on_the_old_board_is_saved(
    studio: ServedSite,
) -> None:
    page = open_board(studio)
    held, second = rename_slowly(page)
    second.fill("Mill at noon")
    held.let_go()
    expect_said(page, "Title saved")
    with page.expect_response(re.compile(BOARD)):
        page.keyboard.press("Tab")
    page.reload()
    assert [title for title, _ in read_board(page)] == ["The old harbour", "Mill at noon"]


def test_a_title_is_one_undo_step_however_it_was_left(studio: ServedSite) -> None:
    page = open_board(studio)
    title = page.get_by_label("Title of group 1")
    title.fill("The old harbour")
    title.press("Enter")
    expect_said(page, "Title saved")
    title.blur()
    page.keyboard.press("z")
    expect_said(page, "Undone")
    expect(title).to_have_value("Harbour")
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()


def test_a_click_counts_while_the_board_is_replaced(studio: ServedSite) -> None:
    page = open_board(studio)
    title = page.get_by_label("Title of group 1")
    title.fill("The old harbour")
    page.locator("#start").hover()
    # Pressing the mouse blurs the title; the answer arrives before the release.
    with page.expect_response(re.compile(BOARD)) as answer:
        page.mouse.down()
    answer.value.finished()
    page.wait_for_timeout(100)
    page.mouse.up()
    page.wait_for_url(re.compile(r"/admin/import/\d+$"))
    expect(page.locator(".into")).to_contain_text("The old harbour")


def test_an_import_waits_for_a_pending_move(studio: ServedSite) -> None:
    page = open_board(studio)
    held = hold(page, BOARD)
    page.locator(".card", has_text="mill-1").locator("input").focus()
    page.keyboard.press("Alt+ArrowUp")
    held.wait()
    page.get_by_role("button", name="Import 4 files").click()
    held.let_go()
    page.wait_for_url(re.compile(r"/admin/import/\d+$"))
    with studio.site.working():
        expect(page.get_by_text("4 images imported.").first).to_be_visible(timeout=60_000)
    expect(page.locator(".into li")).to_contain_text(["Harbour 3 shots", "Mill 1 shot"])


def test_an_import_does_not_start_if_a_move_was_not_saved(studio: ServedSite) -> None:
    visit = studio.enter(service_workers="block")
    page = visit.page
    plan_studio(page)
    held = hold(page, BOARD)
    page.locator(".card input").first.focus()
    page.keyboard.press("Alt+ArrowRight")
    held.wait()
    page.get_by_role("button", name="Import 4 files").click()
    held.break_off()
    expect(page.locator(".toast.is-fault")).to_contain_text("ImageHub cannot be reached")
    expect(page.get_by_role("heading", name="Import plan")).to_be_visible()
    visit.complaints.clear()  # the browser logs the network failure
    start(page)


def test_each_key_counts_before_earlier_answers_arrive(studio: ServedSite) -> None:
    page = open_plan(studio, service_workers="block")
    (board,) = read_board(page)
    held = hold(page, BOARD)
    page.locator(".card input").first.focus()
    for _ in range(3):
        page.keyboard.press("Alt+ArrowRight")
    held.wait()
    held.let_go()
    expect_said(page, "File 4 of 4")
    first, *others = board[1]
    assert read_board(page) == [(board[0], [*others, first])]
    expect(page.locator(".card input").last).to_be_focused()


def test_the_focus_stays_where_it_moved_during_a_save(
    studio: ServedSite,
) -> None:
    page = open_board(studio)
    held = hold(page, BOARD)
    page.locator(".card input").first.focus()
    page.keyboard.press("Alt+ArrowRight")
    held.wait()
    page.locator(".card", has_text="mill-2").locator("input").focus()
    held.let_go()
    expect_said(page, "File 2 of 2")
    expect(page.locator(".card", has_text="mill-2").locator("input")).to_be_focused()


def test_a_grouping_restored_by_the_browser_is_confirmed(studio: ServedSite) -> None:
    page = open_board(studio)
    # Like a browser that returns to the page: before its script runs.
    page.route(
        "**/js/admin/import-plan.js*",
        lambda route: route.fulfill(
            response=(answer := route.fetch()),
            body=f"document.getElementById('way').value = 'one';\n{answer.text()}",
        ),
    )
    page.reload()
    expect(page.get_by_label("Group by")).to_have_value("one")
    page.get_by_role("button", name="Regroup").click()
    expect(page.get_by_role("dialog", name="Regroup?")).to_be_visible()


# --- Progress -------------------------------------------------------------------------------------


def start(page: Page) -> None:
    page.get_by_role("button", name="Import 4 files").click()
    page.wait_for_url(re.compile(r"/admin/import/\d+$"))


def wait_for_end(studio: ServedSite) -> None:
    until = time.monotonic() + 60
    while True:
        with studio.site.session() as session:
            if session.query(ImportJob).one().state != "running":
                return
        assert time.monotonic() < until, "the worker does not finish the import"
        time.sleep(0.05)


def test_the_end_of_an_import_keeps_the_focus(studio: ServedSite) -> None:
    page = open_board(studio)
    start(page)
    link = page.locator(".into a", has_text="Mill")
    link.focus()
    with studio.site.working():
        expect(page.get_by_text("4 images imported.").first).to_be_visible(timeout=60_000)
    expect(link).to_be_focused()


def test_the_bar_moves_while_the_focus_is_in_the_groups(studio: ServedSite) -> None:
    page = open_board(studio)
    start(page)
    link = page.locator(".into a", has_text="Mill")
    link.focus()
    with studio.site.session() as session:
        first, second, *_ = session.query(ImportItem)
        first.state, second.state, second.reason = "done", "failed", "It is torn."
    expect(page.locator(".bar")).to_contain_text("2 of 4 done")
    expect(page.get_by_text("It is torn.")).to_be_visible()
    expect(link).to_be_focused()
    parts = page.locator("[data-part]").evaluate_all("all => all.map((one) => one.dataset.part)")
    assert parts == ["state", "failed", "into"]


def test_home_does_not_reload_while_navigating_away(studio: ServedSite) -> None:
    page = open_board(studio)
    start(page)
    jobs, library = hold(page, "/home/jobs$"), hold(page, "/admin/library$")
    page.goto(f"{studio.url}/admin/")
    jobs.wait()
    with studio.site.working():
        wait_for_end(studio)
    page.evaluate("setTimeout(() => document.querySelector('a[href$=\"/admin/library\"]').click())")
    library.wait()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    jobs.let_go()
    # The page is not reloaded at this poll or the next two.
    page.wait_for_timeout(3500)
    assert f"{studio.url}/admin/" not in asked


def test_home_shows_the_end_of_an_import_after_a_slow_reload(
    studio: ServedSite,
) -> None:
    page = open_board(studio)
    start(page)
    page.goto(f"{studio.url}/admin/")
    expect(page.get_by_role("heading", name="In progress")).to_be_visible()
    held = hold(page, "/admin/$")
    with studio.site.working():
        held.wait()
        # As long as two more polls would take.
        page.wait_for_timeout(3500)
    assert len(held.routes) == 1
    held.let_go()
    expect(page.locator("[data-figure='groups']")).to_be_visible()
    expect(page.get_by_role("heading", name="In progress")).to_have_count(0)
