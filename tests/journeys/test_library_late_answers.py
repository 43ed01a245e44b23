"""The library when a save is slow, fails, or conflicts with another one."""

import pytest
from playwright.sync_api import Page, expect

from imagehub.models import Group, Image
from tests.fixtures.browser import stop_clock
from tests.fixtures.holding import hold
from tests.fixtures.served_site import ServedSite, wait_for_script
from tests.journeys.test_library import list_names, open_group

SAVE = "/save$"
SHOTS_ORDER = "/shots/order$"


@pytest.fixture
def page(served_site: ServedSite, group: int) -> Page:
    """Open the group without a service worker, so that requests can be held."""
    return open_group(served_site, group, service_workers="block")


def expect_state(page: Page, words: str) -> None:
    expect(page.locator("#save-state")).to_have_text(words)


def read_group(served: ServedSite, number: int) -> tuple[str, str]:
    """Return the saved title and year."""
    with served.site.session() as session:
        group = session.get_one(Group, number)
        return group.title, group.year


def change_title(served: ServedSite, number: int, title: str) -> None:
    """Change the title like another user."""
    with served.site.session() as session:
        group = session.get_one(Group, number)
        group.title = title
        group.version += 1
        session.commit()


# --- The save state -------------------------------------------------------------------------------


def test_the_state_is_not_saved_while_a_save_is_pending(page: Page) -> None:
    page.clock.install()
    title = hold(page, "/library/[0-9]+/save$")
    page.get_by_label("Title").fill("Great wave")
    page.get_by_label("Alt text of b.jpg").focus()
    title.wait()
    stop_clock(page)
    page.keyboard.type("A wave")
    title.let_go()
    expect(page.get_by_role("heading", level=1)).to_have_text("Great wave")
    expect_state(page, "Not saved yet")
    page.clock.run_for(1000)
    expect_state(page, "Saved")


def test_a_reverted_change_is_not_called_unsaved(page: Page) -> None:
    page.clock.install()
    stop_clock(page)
    year = page.get_by_label("Year")
    year.fill("2026")
    expect_state(page, "Not saved yet")
    year.fill("")
    year.blur()
    expect_state(page, "Saved")


# --- Leaving during a save ------------------------------------------------------------------------


def test_a_form_waits_for_pending_saves(page: Page, served_site: ServedSite, group: int) -> None:
    held = hold(page, SAVE)
    page.get_by_label("Title").fill("Great wave")
    page.get_by_label("Year").fill("2026")
    held.wait()
    page.get_by_label("Alt text of b.jpg").fill("A wave")
    page.get_by_role("button", name="Set b.jpg as cover").click()
    held.let_go()
    page.wait_for_url("**#shot-2")
    expect(page.get_by_label("Alt text of b.jpg")).to_have_value("A wave")
    assert read_group(served_site, group) == ("Great wave", "2026")


def test_a_link_waits_for_pending_saves(page: Page, served_site: ServedSite, group: int) -> None:
    held = hold(page, SAVE, has_answers=True)
    page.get_by_label("Title").fill("Great wave")
    page.get_by_label("Year").focus()
    held.wait()
    page.get_by_label("Year").fill("2026")
    page.locator("main").get_by_role("link", name="Library").click()
    held.let_go()
    page.wait_for_url("**/admin/library")
    assert read_group(served_site, group) == ("Great wave", "2026")


def test_a_link_waits_until_a_conflict_is_settled(
    page: Page, served_site: ServedSite, group: int
) -> None:
    held = hold(page, SAVE)
    page.get_by_label("Title").fill("Great wave")
    page.get_by_label("Year").focus()
    held.wait()
    change_title(served_site, group, "Small wave")
    page.locator("main").get_by_role("link", name="Library").click()
    held.let_go()
    page.get_by_role("dialog").get_by_role("button", name="Keep my version").click()
    page.wait_for_url("**/admin/library")
    assert read_group(served_site, group)[0] == "Great wave"


def test_a_refused_save_cancels_a_link(page: Page) -> None:
    held = hold(page, SAVE)
    page.get_by_label("Year").fill("2" * 41)
    page.get_by_label("Title").focus()
    held.wait()
    page.locator("main").get_by_role("link", name="Library").click()
    held.let_go()
    expect(page.locator("#save-state")).to_contain_text("Not saved: Year")
    expect(page.get_by_label("Year")).to_have_value("2" * 41)


def test_a_second_click_on_a_link_does_not_wait(
    page: Page, served_site: ServedSite, group: int
) -> None:
    held = hold(page, SAVE, has_answers=True)
    page.get_by_label("Title").fill("Great wave")
    page.get_by_label("Year").focus()
    held.wait()
    # Changes that are not being sent are asked about, and the page stays.
    page.get_by_label("Year").fill("2026")
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    link = page.locator("main").get_by_role("link", name="Library")
    link.click()
    link.click()
    assert asked == ["beforeunload"]
    page.get_by_label("Year").fill("")
    link.click()
    page.wait_for_url("**/admin/library")
    held.forget()
    assert read_group(served_site, group)[0] == "Great wave"


def test_typing_during_a_save_is_no_conflict(
    page: Page, served_site: ServedSite, group: int
) -> None:
    held = hold(page, SAVE, has_answers=True)
    alt = page.get_by_label("Alt text of b.jpg")
    alt.fill("A wave")
    alt.blur()
    held.wait()
    alt.fill("A wave before it breaks")
    page.get_by_role("checkbox", name="Select b.jpg").check()
    page.get_by_role("button", name="Split").click()
    held.let_go()
    expect(page.locator(".toast", has_text="a group of its own")).to_be_visible()
    expect(page.get_by_label("Alt text of b.jpg")).to_have_value("A wave before it breaks")
    with served_site.site.session() as session:
        image = session.query(Image).filter_by(name="b.jpg").one()
        assert image.alt == "A wave before it breaks"


# --- Conflicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps_own", [True, False])
def test_a_conflict_dialog_ignores_keys_typed_before_it(
    page: Page, served_site: ServedSite, group: int, keeps_own: bool
) -> None:
    change_title(served_site, group, "Hers")
    page.get_by_label("Year").fill("2026")
    page.get_by_label("Title").fill("His")
    page.get_by_label("Description", exact=True).focus()
    dialog = page.get_by_role("dialog", name="Someone else changed this")
    expect(dialog).to_be_visible()
    for key in ("Space", "Enter"):
        page.keyboard.press(key)
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert read_group(served_site, group)[0] == "Hers"
    # When closed, the dialog returns with the next input; other fields are saved in either case.
    expect(page.get_by_label("Title")).to_have_value("His")
    page.get_by_label("Title").fill("His wave")
    page.get_by_label("Description", exact=True).focus()
    dialog.get_by_role(
        "button", name="Keep my version" if keeps_own else "Use their version"
    ).click()
    expect_state(page, "Saved" if keeps_own else "Their version is used")
    assert read_group(served_site, group) == ("His wave" if keeps_own else "Hers", "2026")


def test_using_their_version_keeps_other_changes(
    served_site: ServedSite, group: int, page: Page
) -> None:
    change_title(served_site, group, "Hers")
    with page.expect_response(lambda answer: answer.status == 409) as refused:
        # At the same moment, like a browser's autofill.
        page.evaluate(
            """(words) => {
              for (const [name, value] of Object.entries(words)) {
                const field = document.querySelector(`#record [name=${name}]`);
                field.value = value;
                field.dispatchEvent(new Event("input", { bubbles: true }));
              }
            }""",
            {"title": "His", "year": "2026"},
        )
    # Both are sent in one call, and are refused together.
    assert set(refused.value.request.post_data_json["changes"]) == {"title", "year"}
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("dd")).to_have_text(["Hers", "His"])
    dialog.get_by_role("button", name="Use their version").click()
    expect_state(page, "Saved")
    assert read_group(served_site, group) == ("Hers", "2026")


# --- Order ----------------------------------------------------------------------------------------


def test_a_failed_move_does_not_undo_others(page: Page, served_site: ServedSite) -> None:
    held = hold(page, SHOTS_ORDER, "POST")
    page.get_by_label("Alt text of a.jpg").focus()
    page.keyboard.press("Alt+ArrowDown")
    held.wait()
    page.get_by_label("Alt text of c.jpg").focus()
    page.keyboard.press("Alt+ArrowUp")
    assert list_names(page) == ["b.jpg", "c.jpg", "a.jpg"]
    # The first one fails, the second succeeds.
    held.break_off()
    expect_state(page, "Saved")
    assert list_names(page) == ["c.jpg", "a.jpg", "b.jpg"]
    expect(page.get_by_label("Alt text of c.jpg")).to_be_focused()
    page.reload()
    assert list_names(page) == ["c.jpg", "a.jpg", "b.jpg"]


def test_an_action_waits_for_pending_moves(page: Page, served_site: ServedSite, group: int) -> None:
    second = served_site.site.add_group()
    page.goto(f"{served_site.url}/admin/library")
    wait_for_script(page)
    held = hold(page, "/library/order$")
    page.locator(".row-title").last.focus()
    page.keyboard.press("Alt+ArrowUp")
    held.wait()
    page.locator(f".row[data-group='{second}'] input").check()
    page.get_by_role("button", name="Unpublish").click()
    held.let_go()
    expect(page.locator(f".row[data-group='{second}']")).to_contain_text("Draft")
    rows = [row.get_attribute("data-group") for row in page.locator(".row").all()]
    assert rows == [str(group), str(second)]
