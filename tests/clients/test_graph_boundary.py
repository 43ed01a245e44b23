"""The boundary of a drive with answers that a correct service does not give.

The usual cases are in ``test_contract_drive``.
"""

import time

import pytest

from imagehub.clients.graph import GraphDrive
from imagehub.clients.graph_boundary import DriveMemory
from imagehub.errors import NotFoundError, ServiceRefusedError
from tests.clients.scripted import Answer, ScriptedServer, make_caller


@pytest.fixture
def closed_drive(server: ScriptedServer) -> GraphDrive:
    """Open the scripted drive at ``art``; add a cycle of folders and a foreign one."""

    def say(item_id: str, parent_id: str, kind: str, drive_id: str = "d") -> None:
        parent = {"driveId": drive_id, "id": parent_id}
        item = {"id": item_id, "name": item_id, kind: {}, "parentReference": parent}
        server.say(f"/v1.0/me/drive/items/{item_id}", Answer(200, item))

    say("art", "root-id", "folder")
    say("front", "art", "file")
    say("one", "other", "folder")
    say("other", "one", "folder")
    say("round", "one", "file")
    say("away", "theirs", "folder")
    say("theirs", "art", "folder", "another")
    say("strange", "away", "file")
    return GraphDrive(make_caller(server), root_folder="art")


@pytest.mark.parametrize("item_id", ["shortcut", "foreign", "lost"])
def test_items_of_another_drive_are_outside_the_whole_drive(
    scripted_drive: GraphDrive, item_id: str
) -> None:
    with pytest.raises(NotFoundError):
        scripted_drive.get_item(item_id)


@pytest.mark.parametrize("item_id", ["round", "strange", "theirs"])
def test_items_whose_parents_miss_the_root_folder_are_not_found(
    closed_drive: GraphDrive, item_id: str
) -> None:
    assert closed_drive.get_item("front").id == "front"
    for _ in range(2):  # a failed walk must not be cached as inside
        with pytest.raises(NotFoundError):
            closed_drive.get_item(item_id)


def test_a_broken_chain_of_parents_leaves_an_item_unknown(
    closed_drive: GraphDrive,
) -> None:
    for item_id in ("round", "strange"):
        [answer] = closed_drive.find_items([item_id])
        assert (answer.item, answer.is_outside) == (None, False)
        assert isinstance(answer.error, ServiceRefusedError)
        assert answer.error.reason == "bad_answer"
    [front] = closed_drive.find_items(["front"])
    assert front.item is not None


def test_a_page_with_items_of_another_folder_is_refused(
    server: ScriptedServer, closed_drive: GraphDrive
) -> None:
    parent = {"driveId": "d", "id": "away"}
    item = {"id": "strange", "name": "strange", "file": {}, "parentReference": parent}
    server.say("/v1.0/me/drive/items/art/children", Answer(200, {"value": [item]}))
    with pytest.raises(NotFoundError):
        closed_drive.list_children("art")


def test_the_cache_evicts_the_oldest_folders_and_expires() -> None:
    memory = DriveMemory(ttl_seconds=600, max_folders=2)
    memory.keep_places(["a", "b", "c"])
    assert [memory.find_place(name) for name in "abc"] == [None, True, True]
    brief = DriveMemory(ttl_seconds=0.05)
    brief.keep_places(["c"])
    time.sleep(0.06)
    assert brief.find_place("c") is None
