from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.emulators.person import Person
from tests.fixtures.onedrive import OneDrive


@pytest.fixture
def person(onedrive: OneDrive) -> Person:
    return Person(onedrive)


@pytest.fixture
def colleague(onedrive_business: OneDrive) -> Person:
    return Person(onedrive_business)


def apply(tree: dict[str, dict[str, Any]], items: list[dict[str, Any]]) -> None:
    """Apply a round of the feed like a client: by id, the last state wins."""
    for item in items:
        if "deleted" in item:
            tree.pop(item["id"], None)
        else:
            tree[item["id"]] = item


def list_paths(tree: dict[str, dict[str, Any]]) -> list[str]:
    def path_of(item: dict[str, Any]) -> str:
        parent = tree.get(item["parentReference"].get("id", ""))
        above = "" if parent is None or "root" in parent else path_of(parent) + "/"
        return above + str(item["name"])

    return sorted(path_of(item) for item in tree.values() if "root" not in item)


def test_the_first_round_lists_everything_and_later_ones_changes(person: Person) -> None:
    for path in ("A/one.txt", "A/B/two.txt", "three.txt"):
        person.put(path, b"x")
    tree: dict[str, dict[str, Any]] = {}
    items, link = person.follow_delta("/me/drive/root/delta?$top=2")
    apply(tree, items)
    assert list_paths(tree) == ["A", "A/B", "A/B/two.txt", "A/one.txt", "three.txt"]
    assert all("path" not in item["parentReference"] for item in items)

    items, link = person.follow_delta(link)
    assert items == []

    person.put("A/four.txt", b"x")
    folder, moved = person.find("A/B"), person.find("three.txt")
    person.call("PATCH", f"/me/drive/items/{folder['id']}", json={"name": "C"})
    person.call(
        "PATCH", f"/me/drive/items/{moved['id']}", json={"parentReference": {"id": folder["id"]}}
    )
    person.call("DELETE", f"/me/drive/items/{person.find('A/one.txt')['id']}")
    items, link = person.follow_delta(link)
    assert "two.txt" not in [item.get("name") for item in items], "a child is not told again"
    apply(tree, items)
    assert list_paths(tree) == ["A", "A/C", "A/C/three.txt", "A/C/two.txt", "A/four.txt"]


def test_changes_by_other_programs_are_in_the_feed(person: Person) -> None:
    root = person.onedrive.root
    _, link = person.follow_delta()
    (root / "F").mkdir()
    (root / "F" / "a.txt").write_text("a")
    tree: dict[str, dict[str, Any]] = {}
    items, link = person.follow_delta(link)
    apply(tree, items)
    assert list_paths(tree) == ["F", "F/a.txt"]
    (root / "F" / "a.txt").rename(root / "b.txt")
    (root / "F").rmdir()
    items, link = person.follow_delta(link)
    apply(tree, items)
    assert list_paths(tree) == ["b.txt"]


def test_a_deleted_folder_deletes_its_children(person: Person) -> None:
    person.put("F/a.txt", b"a")
    tree: dict[str, dict[str, Any]] = {}
    items, link = person.follow_delta()
    apply(tree, items)
    person.call("DELETE", f"/me/drive/items/{person.find('F')['id']}")
    items, _ = person.follow_delta(link)
    apply(tree, items)
    assert list_paths(tree) == []


def test_deleted_items_lack_the_fields_their_kind_omits(person: Person, colleague: Person) -> None:
    for who in (person, colleague):
        item = who.put("a.txt", b"abc")
        _, link = who.follow_delta()
        who.call("DELETE", f"/me/drive/items/{item['id']}")
        items, _ = who.follow_delta(link)
        (gone,) = [item for item in items if "deleted" in item]
        assert gone["id"] == item["id"]
        assert "cTag" not in gone
        assert ("name" in gone) == (who is person)
        assert ("size" in gone) == (who is colleague)


def test_a_first_round_has_no_earlier_deletions(person: Person) -> None:
    item = person.put("a.txt", b"abc")
    person.call("DELETE", f"/me/drive/items/{item['id']}")
    items, _ = person.follow_delta()
    assert [item["name"] for item in items] == ["root"]


def test_business_never_sends_ctags_in_the_feed(colleague: Person) -> None:
    colleague.put("a.txt", b"abc")
    items, _ = colleague.follow_delta()
    assert all("cTag" not in item for item in items)


def test_latest_starts_at_now(person: Person) -> None:
    person.put("old.txt", b"x")
    page = person.get("/me/drive/root/delta?token=latest")
    assert page["value"] == []
    person.put("new.txt", b"x")
    items, _ = person.follow_delta(page["@odata.deltaLink"])
    assert [item["name"] for item in items if "file" in item] == ["new.txt"]


def test_the_token_can_be_in_parentheses(person: Person) -> None:
    link = person.get("/me/drive/root/delta(token='latest')")["@odata.deltaLink"]
    token = link.partition("token=")[2]
    person.put("new.txt", b"x")
    items, _ = person.follow_delta(f"/me/drive/root/delta(token='{quote(token)}')")
    assert [item["name"] for item in items if "file" in item] == ["new.txt"]


def test_only_business_accepts_a_time_as_token(person: Person, colleague: Person) -> None:
    moment = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert person.refused("GET", f"/me/drive/root/delta?token={moment}")[0] == 400
    colleague.put("a.txt", b"x")
    items, _ = colleague.follow_delta(f"/me/drive/root/delta?token={moment}")
    assert "a.txt" in [item["name"] for item in items]
    later = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert colleague.follow_delta(f"/me/drive/root/delta?token={later}")[0] == []


def test_expanding_thumbnails_is_refused_for_business(colleague: Person) -> None:
    place = "/me/drive/root/delta?$expand=thumbnails"
    assert colleague.refused("GET", place) == (400, "badArgument")


def test_a_folder_of_a_personal_drive_has_its_own_feed(person: Person, colleague: Person) -> None:
    for who in (person, colleague):
        who.put("F/a.txt", b"a")
        who.put("b.txt", b"b")
    folder = person.find("F")
    items, _ = person.follow_delta(f"/me/drive/items/{folder['id']}/delta")
    assert sorted(item["name"] for item in items) == ["F", "a.txt"]
    place = f"/me/drive/items/{colleague.find('F')['id']}/delta"
    assert colleague.refused("GET", place)[0] == 400


def test_an_old_token_is_gone_with_an_address_to_restart(person: Person) -> None:
    _, link = person.follow_delta("/me/drive/root/delta?$select=id,name,deleted")
    person.onedrive.reset()
    person = Person(person.onedrive)
    person.put("a.txt", b"a")
    answer = person.call("GET", link)
    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "resyncChangesApplyDifferences"
    items, _ = person.follow_delta(answer.headers["Location"])
    assert {"a.txt", "root"} == {item["name"] for item in items}
    assert all(set(item) <= {"id", "name", "deleted"} for item in items)


@pytest.mark.parametrize("token", ["nonsense", "WzEsMl0", "bnVsbA", "!"])
def test_an_invalid_token_is_refused(person: Person, token: str) -> None:
    assert person.refused("GET", f"/me/drive/root/delta?token={token}")[0] == 400


def test_a_change_between_two_pages_is_not_lost(person: Person) -> None:
    for number in range(6):
        person.put(f"{number}.txt", b"x")
    page = person.get("/me/drive/root/delta?$top=3")
    tree: dict[str, dict[str, Any]] = {}
    apply(tree, page["value"])
    for name in ("0.txt", "5.txt"):
        person.call("DELETE", f"/me/drive/items/{person.find(name)['id']}")
    person.put("6.txt", b"x")
    items, link = person.follow_delta(page["@odata.nextLink"])
    apply(tree, items)
    items, link = person.follow_delta(link)
    apply(tree, items)
    assert list_paths(tree) == ["1.txt", "2.txt", "3.txt", "4.txt", "6.txt"]


def test_the_feed_survives_a_crash(person: Person) -> None:
    item = person.put("a.txt", b"a")
    _, link = person.follow_delta()
    person.call("DELETE", f"/me/drive/items/{item['id']}")
    person.onedrive.restart()
    (person.onedrive.root / "b.txt").write_text("b")
    items, _ = person.follow_delta(link)
    states = {item.get("name"): "deleted" in item for item in items}
    assert states["a.txt"] is True
    assert states["b.txt"] is False


def test_the_parents_can_be_left_out(person: Person) -> None:
    person.put("a.txt", b"a")
    page = person.get("/me/drive/root/delta", headers={"deltaExcludeParent": "true"})
    assert all("parentReference" not in item for item in page["value"])


def test_pages_that_take_too_long_end_early_and_lose_nothing(
    start_onedrive: Callable[..., OneDrive],
) -> None:
    onedrive = start_onedrive(page_seconds=0, auto_consent=True)
    person = Person(onedrive)
    for number in range(5):
        (onedrive.root / f"{number}.txt").write_text("x" * number)
    for order in ("name", "size desc", "lastModifiedDateTime"):
        page = person.get(f"/me/drive/root/children?$orderby={order}")
        names = [item["name"] for item in page["value"]]
        assert len(names) == 1
        while "@odata.nextLink" in page:
            page = person.get(page["@odata.nextLink"])
            names += [item["name"] for item in page["value"]]
        assert sorted(names) == [f"{number}.txt" for number in range(5)]
    items, _ = person.follow_delta()
    assert len(items) == 6


# --- Faults -------------------------------------------------------------------------------------


def test_an_item_can_appear_twice_with_the_last_one_valid(person: Person) -> None:
    person.put("a.txt", b"a")
    person.onedrive.set_fault("delta_duplicate")
    items, _ = person.follow_delta()
    ids = [item["id"] for item in items]
    assert len(ids) == len(set(ids)) + 1
    tree: dict[str, dict[str, Any]] = {}
    apply(tree, items)
    assert list_paths(tree) == ["a.txt"]


def test_an_empty_page_can_have_a_next_page(person: Person) -> None:
    person.put("a.txt", b"a")
    person.onedrive.set_fault("delta_empty_page", times=1)
    person.onedrive.set_fault("children_empty_page", times=1)
    page = person.get("/me/drive/root/delta")
    assert page["value"] == []
    items, _ = person.follow_delta(page["@odata.nextLink"])
    assert "a.txt" in [item["name"] for item in items]
    page = person.get("/me/drive/root/children")
    assert page["value"] == []
    assert len(person.get(page["@odata.nextLink"])["value"]) == 1


def test_a_token_can_be_declared_gone(person: Person) -> None:
    _, link = person.follow_delta()
    person.onedrive.set_fault("delta_gone", code="resyncRequired", times=1)
    answer = person.call("GET", link)
    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "resyncRequired"
    assert person.follow_delta(answer.headers["Location"])[0]
    assert person.follow_delta(link)[0] == []


def test_a_deleted_item_can_lack_its_name(person: Person) -> None:
    item = person.put("a.txt", b"a")
    _, link = person.follow_delta()
    person.call("DELETE", f"/me/drive/items/{item['id']}")
    person.onedrive.set_fault("delta_deleted_without_name")
    items, _ = person.follow_delta(link)
    assert "name" not in next(item for item in items if "deleted" in item)


def test_a_deleted_folder_can_appear_without_its_contents(person: Person) -> None:
    inside = person.put("F/a.txt", b"a")
    _, link = person.follow_delta()
    folder = person.find("F")
    person.call("DELETE", f"/me/drive/items/{folder['id']}")
    person.onedrive.set_fault("delta_folder_alone")
    deleted = {item["id"] for item in person.follow_delta(link)[0] if "deleted" in item}
    assert deleted == {folder["id"]}
    person.onedrive.clear_faults()
    deleted = {item["id"] for item in person.follow_delta(link)[0] if "deleted" in item}
    assert deleted == {folder["id"], inside["id"]}


def test_existing_items_can_be_omitted(person: Person) -> None:
    for name in ("a.txt", "b.txt"):
        person.put(f"F/{name}", b"x")
    person.onedrive.set_fault("delta_forgets", item=r"/a\.txt$")
    names = {item["name"] for item in person.follow_delta()[0]}
    assert names >= {"F", "b.txt"}
    assert "a.txt" not in names
