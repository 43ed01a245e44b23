"""The library in Chromium: automatic saving, conflicts, reordering, and the trash."""

import re

import pytest
from flask import Response, request
from playwright.sync_api import Page, Request, expect

from imagehub.domain.library.tags import list_group_tags, set_tags
from imagehub.models import Group
from tests.fixtures.programs import wait_until
from tests.fixtures.served_site import ServedSite, wait_for_script


def open_group(served: ServedSite, number: int, **options: object) -> Page:
    visit = served.enter(f"/admin/library/{number}", **options)
    # The renditions of these groups are only rows, so their pictures do not load.
    visit.complaints = IgnoreMissingPictures()
    visit.page.on("close", lambda _: visit.complaints.clear())
    return visit.page


class IgnoreMissingPictures(list[str]):
    """Ignore Chromium's messages about missing pictures."""

    def append(self, text: str) -> None:
        if "Failed to load resource" not in text and "Transition" not in text:
            super().append(text)


NAMES = ".shot-name > span:first-child"


def list_names(page: Page) -> list[str]:
    return page.locator(NAMES).all_inner_texts()


def list_groups(page: Page) -> list[str]:
    return [str(row.get_attribute("data-group")) for row in page.locator(".row").all()]


def list_tags(served: ServedSite, number: int) -> list[str]:
    with served.site.session() as session:
        return [tag.name for tag in list_group_tags(session, number)]


def test_fields_save_themselves(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    page.get_by_label("Title").fill("Great wave")
    expect(page.locator("#save-state")).to_have_text("Saved")
    expect(page.get_by_role("heading", level=1)).to_have_text("Great wave")
    page.get_by_label("Alt text of b.jpg").fill("A wave before it breaks")
    page.get_by_label("Role of b.jpg").select_option("detail")
    page.get_by_label("Availability").select_option("sold")
    expect(page.locator("#save-state")).to_have_text("Saved")
    page.reload()
    expect(page.get_by_label("Title")).to_have_value("Great wave")
    expect(page.get_by_label("Alt text of b.jpg")).to_have_value("A wave before it breaks")
    expect(page.get_by_label("Role of b.jpg")).to_have_value("detail")
    expect(page.get_by_label("Availability")).to_have_value("sold")


def test_a_tag_is_suggested_while_somebody_types(served_site: ServedSite, group: int) -> None:
    other = served_site.site.add_group()
    with served_site.site.session() as session:
        set_tags(session, session.get_one(Group, other), ["Winter sun", "Wind"])
    page = open_group(served_site, group)
    field = page.get_by_role("combobox", name="Tags")
    field.press_sequentially("sea, wint")
    page.get_by_role("option", name="Winter sun").click()
    expect(field).to_have_value("sea, Winter sun, ")
    wait_until(lambda: list_tags(served_site, group) == ["sea", "Winter sun"])
    field.press_sequentially("win")
    # Only those that are not there yet.
    suggested = page.get_by_role("listbox", name="Tags").get_by_role("option")
    expect(suggested).to_have_text(["Wind"])
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("sea, Winter sun, Wind, ")
    expect(page.locator("#save-state")).to_have_text("Saved")
    page.get_by_role("link", name="Previous group").click()
    # Loaded, with the script that listens to keys.
    page.wait_for_url(f"**/admin/library/{other}")
    page.keyboard.press("j")
    expect(page.get_by_role("combobox", name="Tags")).to_have_value("sea, Winter sun, Wind")


def test_a_half_typed_tag_is_not_saved(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    page.clock.install()
    page.reload()
    field = page.get_by_role("combobox", name="Tags")
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith(f"/library/{group}/save") and request.method == "POST":
            sent.append(request.post_data_json["changes"]["tags"])

    page.on("request", note)
    field.press_sequentially("sea, wint")
    page.clock.run_for(10_000)
    wait_until(lambda: list_tags(served_site, group) == ["sea"])
    page.clock.run_for(10_000)
    expect(page.locator("#save-state")).to_have_text("Not saved yet")
    field.press_sequentially("er")
    page.clock.run_for(10_000)
    field.blur()
    wait_until(lambda: list_tags(served_site, group) == ["sea", "winter"])
    expect(page.locator("#save-state")).to_have_text("Saved")
    # Enter saves it, too.
    field.press("End")
    field.press_sequentially(", dun")
    page.clock.run_for(10_000)
    field.press_sequentially("es")
    field.press("Enter")
    wait_until(lambda: list_tags(served_site, group) == ["sea", "winter", "dunes"])
    assert [one.rstrip(", ") for one in sent] == ["sea", "sea, winter", "sea, winter, dunes"]


@pytest.mark.parametrize("width", [360, 1100, 1280, 1920])
def test_the_alt_text_field_is_wide_enough(served_site: ServedSite, group: int, width: int) -> None:
    page = open_group(served_site, group)
    page.set_viewport_size({"width": width, "height": 900})
    box = page.get_by_label("Alt text of b.jpg").bounding_box()
    assert box is not None
    assert box["width"] > 200


@pytest.mark.parametrize("keeps_own", [True, False])
def test_the_later_of_two_editors_gets_a_conflict(
    served_site: ServedSite, group: int, keeps_own: bool
) -> None:
    first, second = open_group(served_site, group), open_group(served_site, group)
    first.get_by_label("Title").fill("Hers")
    expect(first.locator("#save-state")).to_have_text("Saved")
    # Another field is saved with it.
    second.get_by_label("Year").fill("2026")
    expect(second.locator("#save-state")).to_have_text("Saved")
    second.get_by_label("Title").fill("His")
    dialog = second.get_by_role("dialog")
    expect(dialog).to_contain_text("Someone else changed this")
    terms = ["Title, their version", "Title, your version"]
    expect(dialog.locator("dt")).to_have_text(terms)
    expect(dialog.locator("dd")).to_have_text(["Hers", "His"])
    dialog.get_by_role(
        "button", name="Keep my version" if keeps_own else "Use their version"
    ).click()
    expect(second.locator("#save-state")).to_have_text(
        "Saved" if keeps_own else "Their version is used"
    )
    first.reload()
    expect(first.get_by_label("Title")).to_have_value("His" if keeps_own else "Hers")
    expect(first.get_by_label("Year")).to_have_value("2026")


def test_a_refused_field_does_not_block_the_others(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    state, year = page.locator("#save-state"), page.get_by_label("Year")
    year.fill("y" * 41)
    expect(state).to_have_text("Not saved: Year. This is longer than 40 characters.")
    expect(year).to_have_accessible_description("This is longer than 40 characters.")
    expect(year).to_have_attribute("aria-invalid", "true")
    with page.expect_response("**/save") as saved:
        page.get_by_label("Title").fill("Great wave")
    assert saved.value.status == 200
    expect(state).to_have_text("Not saved: Year")
    with served_site.site.session() as session:
        assert session.get_one(Group, group).title == "Great wave"
    year.fill("2026")
    expect(state).to_have_text("Saved")
    expect(page.locator(".field .fault")).to_have_count(0)
    expect(year).not_to_have_attribute("aria-invalid", "true")
    page.reload()
    expect(year).to_have_value("2026")


def test_the_save_state_stays_in_view(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    page.set_viewport_size({"width": 390, "height": 480})
    page.get_by_label("Alt text of c.jpg").fill("A wave")
    expect(page.locator("#save-state")).to_have_text("Saved")
    expect(page.locator("#save-state")).to_be_in_viewport()
    expect(page.get_by_role("heading", level=1)).not_to_be_in_viewport()


def test_unsent_changes_are_sent_later(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    page.context.set_offline(True)
    page.get_by_label("Title").fill("Written on a train")
    expect(page.locator("#save-state")).to_contain_text("Not saved")
    page.context.set_offline(False)
    expect(page.locator("#save-state")).to_have_text("Saved")
    page.reload()
    expect(page.get_by_label("Title")).to_have_value("Written on a train")


def test_changes_are_saved_after_signing_in_again(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    page.context.clear_cookies()
    page.get_by_label("Title").fill("Written meanwhile")
    page.get_by_label("Year").focus()
    expect(page.locator("#save-state")).to_contain_text("Not saved: Please sign in first.")
    # In another tab.
    cookie = served_site.site.signed_in_client().get_cookie("hub")
    assert cookie is not None
    page.context.add_cookies([{"name": "hub", "value": cookie.value, "url": served_site.url}])
    expect(page.locator("#save-state")).to_have_text("Saved")
    with served_site.site.session() as session:
        assert session.get_one(Group, group).title == "Written meanwhile"
    # The forms of the page continue to work with it.
    page.get_by_role("checkbox", name="Select b.jpg").check()
    page.get_by_role("button", name="Split").click()
    expect(page.locator(".toast", has_text="a group of its own")).to_be_visible()


def test_values_restored_by_the_back_button_are_saved(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    address, words = page.url, "Half of a sen"
    # Offline would not do: what a page sends on leaving may be sent when the network is back.
    # So everything is refused that was sent before Back, however late it arrives.
    before = served_site.site.app.before_request_funcs.setdefault(None, [])
    before.append(
        lambda: (
            Response(status=503)
            if request.method == "POST" and "X-After-Back" not in request.headers
            else None
        )
    )
    page.get_by_label("Description", exact=True).fill(words)
    expect(page.locator("#save-state")).to_contain_text("Not saved")
    # Chromium stores the values of fields for Back only after a second.
    page.wait_for_timeout(2500)
    page.goto("about:blank")
    page.set_extra_http_headers({"X-After-Back": "yes"})
    page.go_back()
    assert page.url == address
    expect(page.get_by_label("Description", exact=True)).to_have_value(words)
    expect(page.locator("#save-state")).to_have_text("Saved")
    with served_site.site.session() as session:
        assert session.get_one(Group, group).text == words


def test_a_refused_form_is_not_saved_automatically(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    page.get_by_label("Year").evaluate("(field) => { field.value = '2'.repeat(2000) }")
    page.clock.install()
    # Like a browser without a script.
    page.locator("#record").evaluate("(form) => form.submit()")
    expect(page.get_by_role("alert").filter(has_text="Not saved.")).to_be_visible()
    page.wait_for_load_state("load")
    page.clock.run_for(5000)
    expect(page.locator("#save-state")).to_have_text("Not saved yet")


def test_shots_are_reordered_by_keyboard_and_by_drag(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    page.get_by_label("Alt text of a.jpg").focus()
    page.keyboard.press("Alt+ArrowDown")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("#save-state")).to_have_text("Saved")
    assert list_names(page) == ["b.jpg", "c.jpg", "a.jpg"]
    page.locator(".shot", has_text="c.jpg").locator(".shot-picture").drag_to(
        page.locator(".shot", has_text="b.jpg"), target_position={"x": 40, "y": 4}
    )
    expect(page.locator("#status")).to_have_text("Position 1 of 3")
    # Between the drop and this it says "Saving…".
    expect(page.locator("#save-state")).to_have_text("Saved")
    page.reload()
    assert list_names(page) == ["c.jpg", "b.jpg", "a.jpg"]


def test_the_arrow_buttons_move_a_shot_without_scrolling(
    served_site: ServedSite, group: int
) -> None:
    page = open_group(served_site, group)
    page.set_viewport_size({"width": 390, "height": 600})
    page.evaluate("window.isSamePage = true")
    arrow = page.get_by_role("button", name="Move b.jpg down")
    arrow.focus()
    before = page.evaluate("scrollY")
    assert before > 0
    page.keyboard.press("Enter")
    expect(page.locator("#save-state")).to_have_text("Saved")
    assert list_names(page) == ["a.jpg", "c.jpg", "b.jpg"]
    # It is the last now: its arrow is hidden, and the other arrow has the focus.
    expect(arrow).to_be_hidden()
    expect(page.get_by_role("button", name="Move b.jpg up")).to_be_focused()
    expect(page.get_by_role("button", name="Move c.jpg down")).to_be_visible()
    assert page.evaluate("[window.isSamePage, scrollY > 0]") == [True, True]
    # Saved values are not sent again.
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Set b.jpg as cover").click()
    page.wait_for_url("**#shot-2")
    assert set(sent.value.post_data_json) == {"csrf_token", "this", "to"}
    expect(page.locator(".shot", has_text="b.jpg")).to_be_in_viewport()
    assert list_names(page) == ["a.jpg", "c.jpg", "b.jpg"]


def test_shots_are_split_deleted_and_restored(served_site: ServedSite, group: int) -> None:
    page = open_group(served_site, group)
    page.get_by_label("Alt text of b.jpg").fill("Typed just before")
    page.get_by_role("checkbox", name="Select b.jpg").check()
    page.get_by_role("button", name="Split").click()
    expect(page.locator(".toast", has_text="a group of its own")).to_be_visible()
    expect(page.get_by_label("Alt text of b.jpg")).to_have_value("Typed just before")
    page.goto(f"{served_site.url}/admin/library/{group}")
    wait_for_script(page)
    page.get_by_role("checkbox", name="Select c.jpg").check()
    page.locator(".board-tools").get_by_role("button", name="Delete").click()
    expect(page.locator(".toast", has_text="1 shot was moved to the trash.")).to_be_visible()
    assert list_names(page) == ["a.jpg"]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".shot")).to_have_count(2)
    assert list_names(page) == ["a.jpg", "c.jpg"]


def test_the_target_groups_are_filtered_while_typing(served_site: ServedSite, group: int) -> None:
    harbour = served_site.site.add_group(["harbour.jpg"])
    for _ in range(20):
        served_site.site.add_group()
    page = open_group(served_site, group)
    page.get_by_role("checkbox", name="Select b.jpg").check()
    field = page.get_by_label("Move to group")
    field.press_sequentially("harb")
    expect(page.locator("#shots-groups option")).to_have_count(1)
    field.fill(str(page.locator("#shots-groups option").get_attribute("value")))
    field.press("Enter")
    expect(page.locator(".toast")).to_have_text(f"1 shot was moved to “Untitled {harbour}”.")
    assert list_names(page) == ["a.jpg", "c.jpg"]


def test_enter_publishes_nothing(served_site: ServedSite) -> None:
    draft = served_site.site.add_group(state="draft")
    page = open_group(served_site, draft)
    page.goto(f"{served_site.url}/admin/library")
    wait_for_script(page)
    page.get_by_role("checkbox", name="Select “Untitled”").check()
    page.locator("#choose-all").press("Enter")
    page.locator("details.bulk:has([name=medium]) summary").click()
    page.get_by_label("Medium").fill("Oil on canvas")
    page.keyboard.press("Enter")
    expect(page.locator(".toast", has_text="1 group was changed.")).to_be_visible()
    expect(page.locator(".row")).to_contain_text("Oil on canvas")
    expect(page.locator(".row")).to_contain_text("Draft")
    # On a row it opens the group, also from its checkbox.
    page.get_by_role("checkbox", name="Select “Untitled”").press("Enter")
    page.wait_for_url(f"**/library/{draft}")
    expect(page.get_by_label("State")).to_have_value("draft")


def test_groups_are_reordered_by_keyboard_and_by_drag(served_site: ServedSite, group: int) -> None:
    others = [served_site.site.add_group() for _ in range(2)]
    third, second, first = (str(number) for number in (group, *others))
    page = open_group(served_site, group)
    page.goto(f"{served_site.url}/admin/library")
    wait_for_script(page)
    assert list_groups(page) == [first, second, third]
    page.locator(".row-title").last.focus()
    for _ in range(2):
        with page.expect_response("**/library/order"):
            page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#status")).to_have_text("Position 1 of 3")
    with page.expect_response("**/library/order"):
        page.locator(".row").nth(1).drag_to(
            page.locator(".row").nth(2), target_position={"x": 300, "y": 60}
        )
    page.reload()
    assert list_groups(page) == [third, second, first]
    front = served_site.site.get("/image/page", query_string={"page": 1}).json
    assert [str(row["group"]) for row in front["data"]] == [third, second, first]


def test_the_keyboard_moves_a_group_across_pages(
    served_site: ServedSite,
) -> None:
    numbers = [str(served_site.site.add_group()) for _ in range(50)][::-1]
    page = open_group(served_site, int(numbers[0]))
    page.goto(f"{served_site.url}/admin/library")
    wait_for_script(page)
    page.locator(".row-title").first.focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#status")).to_have_text("Already first")
    page.locator(".row-title").last.focus()
    page.keyboard.press("Alt+ArrowDown")
    page.wait_for_url("**?after=*")
    wait_for_script(page)
    moved = page.locator(f".row[data-group='{numbers[47]}'] .row-title")
    expect(moved).to_be_focused()
    with page.expect_response("**/library/order"):
        page.keyboard.press("Alt+ArrowDown")
    assert list_groups(page) == [numbers[49], numbers[47]]


def test_all_groups_on_all_pages_are_published_at_once(served_site: ServedSite) -> None:
    with served_site.site.session() as session:
        session.add_all(Group(state="draft", sort_key=n) for n in range(250))
        session.commit()
    page = open_group(served_site, 1)
    page.goto(f"{served_site.url}/admin/library?filter=draft")
    wait_for_script(page)
    everything = page.get_by_role("checkbox", name="All matches on all pages")
    everything.check()
    expect(page.locator(".row input:checked")).to_have_count(48)
    expect(page.get_by_role("button", name="Delete")).to_be_disabled()
    # Unchecking one unselects "all".
    page.locator(".row input").first.uncheck()
    expect(everything).not_to_be_checked()
    everything.check()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Publish 250 groups?")
    # It continues step by step automatically.
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("250 groups are published.")
    expect(page.get_by_text("There is nothing left to do in this list.")).to_be_visible()


def test_a_deleted_group_is_restored_from_toast_and_trash(
    served_site: ServedSite, group: int
) -> None:
    page = open_group(served_site, group)
    page.goto(f"{served_site.url}/admin/library")
    wait_for_script(page)
    for way in ("toast", "trash"):
        page.get_by_role("checkbox", name="Select “Untitled”").check()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("The library is empty")).to_be_visible()
        assert served_site.site.get(f"/groups/{group}").status_code == 404
        if way == "toast":
            page.get_by_role("button", name="Undo").click()
        else:
            page.goto(f"{served_site.url}/admin/library/trash")
            page.get_by_role("button", name="Restore “Untitled”").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Untitled")
        page.goto(f"{served_site.url}/admin/library")
        wait_for_script(page)


def test_the_library_works_without_javascript(served_site: ServedSite, group: int) -> None:
    other = served_site.site.add_group()
    page = open_group(served_site, group, java_script_enabled=False)
    page.get_by_label("Title").fill("Great wave")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Great wave")
    page.get_by_label("Alt text of b.jpg").fill("A wave")
    page.get_by_role("button", name="Move b.jpg up").click()
    expect(page.get_by_label("Alt text of b.jpg")).to_have_value("A wave")
    expect(page.locator(NAMES)).to_have_text(["b.jpg", "a.jpg", "c.jpg"])
    page.locator("main").get_by_role("link", name="Library").click()
    page.get_by_role("button", name="Move “Great wave” up").click()
    expect(page.locator(".row").first).to_contain_text("Great wave")
    expect(page.locator(".row")).to_have_count(2)
    assert list_groups(page) == [str(group), str(other)]
    page.get_by_role("checkbox", name="Select “Great wave”").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("link", name="Trash").click()
    page.get_by_role("button", name="Restore “Great wave”").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Great wave")
    expect(page.locator(NAMES)).to_have_text(["b.jpg", "a.jpg", "c.jpg"])
    page.goto(f"{served_site.url}/admin/library")
    for number in (other, group):
        page.locator(f".row[data-group='{number}'] input").check()
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Join 2 groups?")
    page.get_by_role("button", name="Join").click()
    expect(page.locator(".shot")).to_have_count(4)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Untitled")


def test_the_fields_for_many_groups_say_which_they_are(served_site: ServedSite) -> None:
    numbers = [served_site.site.add_group() for _ in range(2)]
    with served_site.site.session() as session:
        for number, title in zip(numbers, ("Mill", "Wave"), strict=True):
            session.get_one(Group, number).title = title
    visit = served_site.enter("/admin/library?view=grid")
    visit.complaints = IgnoreMissingPictures()
    page = visit.page
    page.locator(".bulk:has([name=medium]) > summary").click()
    what = page.locator("#bulk-what")
    expect(what).to_contain_text("No group is selected.")
    expect(page.get_by_label("Medium")).to_be_disabled()
    page.get_by_label("Select “Mill”").check()
    expect(what).to_have_text("For 1 group: “Mill”")
    expect(page.locator("#chosen-words")).to_have_text("1 group selected")
    page.get_by_label("Medium").fill("Oil")
    page.get_by_role("button", name="Apply to selected groups").click()
    expect(page.locator(f"[data-group='{numbers[0]}']")).to_contain_text("Oil")
    expect(page.locator(f"[data-group='{numbers[1]}']")).not_to_contain_text("Oil")
    page.get_by_role("button", name="Move “Mill” to the top").click()
    expect(page.locator("[data-group]").first).to_contain_text("Mill")
    page.get_by_label("Sort").select_option("Title, A to Z")
    expect(page).to_have_url(re.compile("sort=title"))
    expect(page.locator("[data-group]").last).to_contain_text("Wave")
