"""What files say, from the board of a plan to the groups that its import makes."""

import io

import pytest
from PIL import Image as Picture
from sqlalchemy import select, update

from imagehub.domain.imports import looks, plan_words, plans
from imagehub.domain.imports.board import changes, words
from imagehub.domain.library import found_words
from imagehub.domain.library.tags import list_group_tags
from imagehub.errors import InvalidInputError
from imagehub.models import FoundWords, Group, Image, ImportPlan, ImportPlanFile, ImportProposal
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.planning import find_proposal, list_board, make_plan
from tests.imaging.test_words import FULL, make_xmp

TEXT = "<dc:description>*Calm* sea</dc:description><dc:rights>© Ada</dc:rights>"


def make_described(number: int, properties: str = FULL + TEXT) -> bytes:
    """Return a JPEG that says something about its picture."""
    target = io.BytesIO()
    Picture.open(io.BytesIO(make_jpeg(number))).save(target, "JPEG", xmp=make_xmp(properties))
    return target.getvalue()


def read_plan(hub: ImportHub, plan: ImportPlan) -> int:
    hub.session.commit()
    count = plan_words.read_plans(hub.session, hub.clients, "test", lambda: True)
    hub.session.expire_all()
    return count


def list_found(hub: ImportHub, plan: ImportPlan, proposal_id: int) -> dict[str, str]:
    proposal = hub.session.get_one(ImportProposal, proposal_id)
    found = words.list_found(hub.session, {}, plan, [proposal]).get(proposal_id, [])
    return {one.name: one.value for one in found}


def run(hub: ImportHub, plan: ImportPlan) -> list[Group]:
    job = plans.start_import(hub.session, plan, hub.user_id, is_published=True)
    count = job.item_count
    hub.session.commit()
    for _ in range(count):
        assert hub.process(hub.claim(job.id)) == "done"
    hub.session.expire_all()
    return list(hub.session.scalars(select(Group).order_by(Group.id)))


def test_what_is_accepted_on_the_board_becomes_the_groups(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.put_files("One", {"a.jpg": make_described(1), "b.jpg": make_jpeg(2)})
    hub.put_files("Two", {"c.jpg": make_described(3, TEXT)})
    plan = make_plan(hub, "One", "Two")
    assert read_plan(hub, plan) == 3
    assert read_plan(hub, plan) == 0, "each file is read once"
    last_id = plan_words.find_last_id(hub.session, plan)
    assert words.count_read(hub.session, plan, last_id) == (3, 3)
    one, two = find_proposal(hub, plan, "One"), find_proposal(hub, plan, "Two")
    assert list_found(hub, plan, one) == {
        "title": "Harbour",
        "text": r"\*Calm\* sea",
        "tags": "sea, Möwe, Boot",
        "creator": "Ada, Ben",
        "copyright_notice": "© Ada",
    }
    assert list_found(hub, plan, two).keys() == {"text", "copyright_notice"}

    before = changes.read_layout(hub.session, plan)
    words.decide(hub.session, {}, plan, one, ["title"], is_accepted=True)
    assert [title for title, _ in list_board(hub, plan)] == ["Harbour", "Two"]
    lost = changes.compare_layouts(before, changes.read_layout(hub.session, plan))
    changes.restore_layout(hub.session, plan, plan.version, lost)
    assert [title for title, _ in list_board(hub, plan)] == ["One", "Two"]
    assert "title" in list_found(hub, plan, one), "an undo proposes it again"

    words.decide(hub.session, {}, plan, one, ["creator"], is_accepted=False)
    words.decide_all(hub.session, {}, plan, is_accepted=True)
    assert list_found(hub, plan, one) == list_found(hub, plan, two) == {}
    first, second = run(hub, plan)
    assert (first.title, first.text, first.copyright_notice) == (
        "Harbour",
        r"\*Calm\* sea",
        "© Ada",
    )
    assert [tag.name for tag in list_group_tags(hub.session, first.id)] == ["sea", "Möwe", "Boot"]
    assert (second.title, second.text) == ("Two", r"\*Calm\* sea")
    assert first.creator == "", "it was discarded"
    proposed = found_words.list_proposals(hub.session, {}, first)
    assert [one.name for one in proposed] == ["alt-1"], "and is not proposed again"


def test_a_title_that_a_person_typed_is_never_overwritten(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.put_files("One", {"a.jpg": make_described(1, FULL)})
    plan = make_plan(hub, "One")
    read_plan(hub, plan)
    one = find_proposal(hub, plan, "One")
    changes.rename_proposal(hub.session, plan, one, "My own")
    assert list_found(hub, plan, one).keys() == {"tags", "creator"}
    words.decide_all(hub.session, {"creator": "Ada, Ben"}, plan, is_accepted=True)
    (group,) = run(hub, plan)
    assert (group.title, group.creator) == ("My own", "")
    assert (
        found_words.list_proposals(hub.session, {"creator": "Ada, Ben"}, group)[0].name == "alt-1"
    )


def test_images_of_before_are_looked_into_by_a_worker(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_files("One", {"a.jpg": make_described(1), "b.jpg": make_jpeg(2)}))
    for _ in range(2):
        assert hub.process(hub.claim(job_id)) == "done"
    states = select(Image.words_state).order_by(Image.number)
    assert hub.session.scalars(states).all() == ["open", "none"]
    hub.session.execute(update(Image).values(words_state=""))
    hub.session.query(FoundWords).delete()
    hub.session.commit()
    count = looks.look_at_originals(hub.session, hub.clients, "test", lambda: True, 10_000_000)
    assert count == 2
    assert hub.session.scalars(states).all() == ["open", "none"]
    group = hub.session.scalars(select(Group)).one()
    assert found_words.list_proposals(hub.session, {}, group)[0].value == "Harbour"


def test_no_more_than_the_first_files_of_a_plan_are_read(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.put_files("One", {"a.jpg": make_described(1), "b.jpg": make_described(2)})
    plan = make_plan(hub, "One")
    first, second = hub.session.scalars(select(ImportPlanFile).order_by(ImportPlanFile.id))
    hub.session.execute(
        update(ImportPlanFile)
        .where(ImportPlanFile.id == second.id)
        .values(id=first.id + plan_words.MAX_FILES)
    )
    assert read_plan(hub, plan) == 1


def test_an_undo_that_was_tampered_with_is_refused(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.put_files("One", {"a.jpg": make_jpeg(1)})
    plan = make_plan(hub, "One")
    one = find_proposal(hub, plan, "One")
    for text in ("{", "[]", '{"accepted": {"state": "published"}}', '{"decided": 7}'):
        layout = changes.Layout({one: (1, "One", None, text)}, {})
        with pytest.raises(InvalidInputError):
            changes.restore_layout(hub.session, plan, plan.version, layout)
