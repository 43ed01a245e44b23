"""Undoing changes of a board."""

import pytest

from imagehub.domain.imports.board import changes, proposals
from imagehub.errors import ConflictError, NotFoundError
from tests.fixtures.importing import ImportHub
from tests.fixtures.planning import list_board, make_plan


def test_a_change_is_undone_unless_the_board_changed_since(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    before = changes.read_layout(studio.session, plan)
    board = list_board(studio, plan)
    last = proposals.list_bins(studio.session, plan)[-1].proposal.id
    changes.join_with_previous(studio.session, plan, last)
    after = changes.read_layout(studio.session, plan)
    lost = changes.compare_layouts(before, after)
    assert len(lost.proposals) == 1
    assert len(lost.files) == 2
    version = plan.version
    with pytest.raises(ConflictError):
        changes.restore_layout(studio.session, plan, version - 1, lost)
    changes.restore_layout(studio.session, plan, version, lost)
    studio.session.commit()
    assert list_board(studio, plan) == board
    with pytest.raises(ConflictError):
        changes.restore_layout(studio.session, plan, version, lost)


def test_a_board_cannot_restore_the_layout_of_another(studio: ImportHub) -> None:
    one, other = make_plan(studio, "Studio"), make_plan(studio, "Studio")
    foreign = changes.read_layout(studio.session, other)
    with pytest.raises(NotFoundError):
        changes.restore_layout(studio.session, one, one.version, foreign)
    files_alone = changes.Layout({}, foreign.files)
    with pytest.raises(NotFoundError):
        changes.restore_layout(studio.session, one, one.version, files_alone)
