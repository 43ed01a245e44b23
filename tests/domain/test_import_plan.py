"""Plans before an import: reading OneDrive, judging files, the board of groups, starting."""

from dataclasses import replace
from datetime import datetime

import pytest

from imagehub.clients import DriveItem
from imagehub.domain import import_plan
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import DriveAccount, Group, ImportPlan
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.site import Site

LIMIT = 10_000_000


def read_all(hub: ImportHub, plan: ImportPlan, limit: int = LIMIT) -> ImportPlan:
    """Read everything a plan waits for, each step committed."""
    drive = hub.open_drive()
    while (entry := import_plan.read_waiting(plan)) is not None:
        step = import_plan.fetch_step(drive, entry)
        import_plan.note_step(hub.session, plan, entry, step, limit)
        hub.session.commit()
    return plan


def make_plan(hub: ImportHub, *folders: str, items: tuple[str, ...] = ()) -> ImportPlan:
    drive = hub.open_drive()
    ids = []
    for name in folders:
        found = drive.find_item_by_path(name)
        assert found is not None
        ids.append(found.id)
    plan = import_plan.create_plan(hub.session, hub.account_id, hub.user_id, ids, items)
    hub.session.commit()
    return read_all(hub, plan)


def list_board(hub: ImportHub, plan: ImportPlan) -> list[tuple[str, list[str]]]:
    hub.session.expire_all()
    return [
        (one.proposal.title, [file.file_name for file in one.files])
        for one in import_plan.list_bins(hub.session, plan)
    ]


def find_files(hub: ImportHub, plan: ImportPlan, *names: str) -> list[int]:
    files = {
        file.file_name: file.id
        for one in import_plan.list_bins(hub.session, plan)
        for file in one.files
    }
    return [files[name] for name in names]


def find_proposal(hub: ImportHub, plan: ImportPlan, title: str) -> int:
    return next(
        one.proposal.id
        for one in import_plan.list_bins(hub.session, plan)
        if one.proposal.title == title
    )


@pytest.fixture
def studio(import_hub: ImportHub) -> ImportHub:
    """Seven pictures of two works, a text, and a folder in the folder."""
    import_hub.put_files(
        "Studio",
        {
            "harbour-back.jpg": make_jpeg(1),
            "harbour-front.jpg": make_jpeg(2),
            "mill_1.jpg": make_jpeg(3),
            "mill_2.jpg": make_jpeg(4),
            "notes.txt": b"nothing to see",
        },
    )
    import_hub.put_files("Studio/Inside", {"IMG_1.jpg": make_jpeg(5), "IMG_2.jpg": make_jpeg(6)})
    return import_hub


def test_a_folder_is_read_with_the_folders_in_it(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    assert plan.state == "ready"
    assert list_board(studio, plan) == [
        ("Studio", ["harbour-back.jpg", "harbour-front.jpg", "mill_1.jpg", "mill_2.jpg"]),
        ("Inside", ["IMG_1.jpg", "IMG_2.jpg"]),
    ]
    summary = import_plan.describe_plan(studio.session, plan)
    assert (summary.file_count, summary.chosen_count, summary.group_count) == (7, 6, 2)
    assert summary.verdict_counts == {"": 6, "unsupported": 1}
    assert summary.seconds is None
    (unusable,) = import_plan.list_unusable(studio.session, plan)
    assert (unusable.file_name, unusable.reason) == (
        "notes.txt",
        "This is a text file, not a picture.",
    )


def test_files_and_folders_chosen_by_hand_come_once_each(studio: ImportHub) -> None:
    chosen = studio.select_folder("Studio")
    ids = tuple(file_id for file_id, _ in chosen.files)
    plan = make_plan(studio, "Studio", items=ids)
    assert import_plan.describe_plan(studio.session, plan).file_count == 7


def test_a_step_that_was_noted_already_is_left_alone(studio: ImportHub) -> None:
    drive = studio.open_drive()
    folder = drive.find_item_by_path("Studio")
    assert folder is not None
    plan = import_plan.create_plan(studio.session, studio.account_id, None, [folder.id], [])
    studio.session.commit()
    entry = import_plan.read_waiting(plan)
    assert entry is not None
    step = import_plan.fetch_step(drive, entry)
    assert not import_plan.note_step(studio.session, plan, entry, step, LIMIT)
    assert not import_plan.note_step(studio.session, plan, entry, step, LIMIT)
    studio.session.commit()
    assert import_plan.describe_plan(studio.session, plan).file_count == 5
    assert plan.state == "reading"
    read_all(studio, plan)
    assert import_plan.describe_plan(studio.session, plan).file_count == 7


def test_what_is_gone_or_outside_the_root_is_left_out(studio: ImportHub) -> None:
    files = {name: file_id for file_id, name in studio.select_folder("Studio").files}
    plan = make_plan(studio, items=("no-such-item", files["mill_1.jpg"]))
    assert import_plan.describe_plan(studio.session, plan).file_count == 1


def test_files_too_large_for_the_hub_are_told(studio: ImportHub) -> None:
    folder = studio.open_drive().find_item_by_path("Studio/Inside")
    assert folder is not None
    plan = import_plan.create_plan(studio.session, studio.account_id, None, [folder.id], [])
    read_all(studio, plan, limit=100)
    summary = import_plan.describe_plan(studio.session, plan)
    assert summary.verdict_counts == {"too_large": 2}
    assert list_board(studio, plan) == []
    with pytest.raises(InvalidInputError):
        import_plan.start_import(studio.session, plan, None, True)


def test_pictures_that_the_hub_has_are_found_by_item_and_by_hash(studio: ImportHub) -> None:
    chosen = studio.select_folder("Studio/Inside")
    job_id = studio.create(chosen)
    studio.work(job_id)
    studio.put_files("Copies", {"copy.jpg": make_jpeg(5), "again.jpg": make_jpeg(5)})
    plan = make_plan(studio, "Studio", "Copies")
    assert import_plan.describe_plan(studio.session, plan).verdict_counts == {
        "": 4,
        "known": 2,
        "same": 2,
        "unsupported": 1,
    }
    reasons = {
        file.file_name: (file.reason, file.is_chosen)
        for one in import_plan.list_bins(studio.session, plan)
        for file in one.files
        if file.verdict
    }
    assert reasons["IMG_1.jpg"] == ("In the hub already: “Inside”.", False)
    assert reasons["copy.jpg"] == ("The same picture is in the hub already: “Inside”.", False)


def test_the_same_picture_twice_and_the_same_name_twice_are_told(import_hub: ImportHub) -> None:
    import_hub.put_files("A", {"a.jpg": make_jpeg(1), "b.jpg": make_jpeg(1)})
    import_hub.put_files("B", {"a.jpg": make_jpeg(2)})
    plan = make_plan(import_hub, "A", "B")
    found = {
        (file.folder_name, file.file_name): (file.verdict, file.is_chosen)
        for one in import_plan.list_bins(import_hub.session, plan)
        for file in one.files
    }
    assert found == {
        ("A", "a.jpg"): ("", True),
        ("A", "b.jpg"): ("same", False),
        ("B", "a.jpg"): ("name", True),
    }


def test_the_time_expected_is_that_of_imports_before(studio: ImportHub) -> None:
    studio.work(studio.create(studio.select_folder("Studio/Inside")))
    plan = make_plan(studio, "Studio")
    summary = import_plan.describe_plan(studio.session, plan)
    rate = import_plan.measure_rate(studio.session)
    assert rate is not None
    assert summary.seconds == pytest.approx(rate * summary.chosen_count)


# --- Proposals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "board"),
    [
        (
            "stem",
            [
                ("Harbour", ["harbour-back.jpg", "harbour-front.jpg"]),
                ("Mill", ["mill_1.jpg", "mill_2.jpg"]),
                ("IMG 1", ["IMG_1.jpg"]),
                ("IMG 2", ["IMG_2.jpg"]),
            ],
        ),
        (
            "one",
            [
                (
                    "New group",
                    [
                        "harbour-back.jpg",
                        "harbour-front.jpg",
                        "mill_1.jpg",
                        "mill_2.jpg",
                        "IMG_1.jpg",
                        "IMG_2.jpg",
                    ],
                )
            ],
        ),
        (
            "each",
            [
                ("Harbour back", ["harbour-back.jpg"]),
                ("Harbour front", ["harbour-front.jpg"]),
                ("Mill 1", ["mill_1.jpg"]),
                ("Mill 2", ["mill_2.jpg"]),
                ("IMG 1", ["IMG_1.jpg"]),
                ("IMG 2", ["IMG_2.jpg"]),
            ],
        ),
    ],
)
def test_a_board_is_laid_out_in_each_way(
    studio: ImportHub, way: str, board: list[tuple[str, list[str]]]
) -> None:
    plan = make_plan(studio, "Studio")
    import_plan.propose(studio.session, plan, way)
    assert list_board(studio, plan) == board
    import_plan.propose(studio.session, plan, "folder")
    import_plan.propose(studio.session, plan, way)
    assert list_board(studio, plan) == board


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Harbour-2_front (1).jpg", "Harbour"),
        ("old mill detail 03.JPG", "old mill"),
        ("IMG_4711.jpg", "IMG 4711"),
        ("DSC00012.NEF", "DSC00012"),
        ("2024-05-01.jpg", "2024 05 01"),
        ("front.jpg", "front"),
        ("大波_1.png", "大波"),
        (".jpg", "jpg"),
        ("a", "a"),
    ],
)
def test_the_work_is_read_out_of_a_file_name(name: str, stem: str) -> None:
    assert import_plan.split_stem(name) == stem


def make_item(**facts: object) -> DriveItem:
    item = DriveItem("i", "a.jpg", False, 1, "", "2024-05-03T10:00:00Z")
    return replace(item, raw=facts)


def test_capture_time_comes_from_the_camera_before_the_file() -> None:
    photo = {"takenDateTime": "2024-05-01T12:30:00Z"}
    system = {"createdDateTime": "2024-05-02T00:00:00.123Z"}
    assert import_plan.find_capture_time(make_item(photo=photo, fileSystemInfo=system)) == datetime(
        2024, 5, 1, 12, 30
    )
    assert import_plan.find_capture_time(make_item(fileSystemInfo=system)) == datetime(2024, 5, 2)
    assert import_plan.find_capture_time(make_item()) == datetime(2024, 5, 3, 10)
    assert import_plan.find_capture_time(make_item(photo={"takenDateTime": "soon"})) == datetime(
        2024, 5, 3, 10
    )


def test_pictures_taken_within_ten_minutes_belong_together(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    times = {
        "mill_1.jpg": datetime(2024, 5, 1, 12, 0),
        "mill_2.jpg": datetime(2024, 5, 1, 12, 9),
        "IMG_1.jpg": datetime(2024, 5, 1, 12, 18),
        "IMG_2.jpg": datetime(2024, 5, 1, 12, 29),
        "harbour-back.jpg": None,
        "harbour-front.jpg": datetime(2023, 1, 1),
    }
    for one in import_plan.list_bins(studio.session, plan):
        for file in one.files:
            file.taken_at = times[file.file_name]
    import_plan.propose(studio.session, plan, "time")
    assert list_board(studio, plan) == [
        ("1 January 2023, 00:00", ["harbour-front.jpg"]),
        ("1 May 2024, 12:00", ["mill_1.jpg", "mill_2.jpg", "IMG_1.jpg"]),
        ("1 May 2024, 12:29", ["IMG_2.jpg"]),
        ("Without a time", ["harbour-back.jpg"]),
    ]


# --- The board ------------------------------------------------------------------------------------


def test_files_are_split_off_and_the_new_group_stands_behind(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    files = find_files(studio, plan, "mill_2.jpg", "mill_1.jpg")
    import_plan.move_files(studio.session, plan, files, None)
    assert list_board(studio, plan) == [
        ("Studio", ["harbour-back.jpg", "harbour-front.jpg"]),
        ("Mill", ["mill_1.jpg", "mill_2.jpg"]),
        ("Inside", ["IMG_1.jpg", "IMG_2.jpg"]),
    ]


def test_files_move_in_front_of_another_and_empty_groups_go(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    to = find_proposal(studio, plan, "Studio")
    before = find_files(studio, plan, "harbour-front.jpg")[0]
    files = find_files(studio, plan, "IMG_1.jpg", "IMG_2.jpg", "mill_2.jpg")
    import_plan.move_files(studio.session, plan, files, to, before)
    assert list_board(studio, plan) == [
        (
            "Studio",
            [
                "harbour-back.jpg",
                "mill_2.jpg",
                "IMG_1.jpg",
                "IMG_2.jpg",
                "harbour-front.jpg",
                "mill_1.jpg",
            ],
        )
    ]


def test_groups_are_joined_renamed_and_taken_apart(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    inside = find_proposal(studio, plan, "Inside")
    import_plan.rename_proposal(studio.session, plan, inside, "  Deep   inside ")
    import_plan.split_proposal(studio.session, plan, find_proposal(studio, plan, "Studio"))
    assert [title for title, _ in list_board(studio, plan)] == [
        "Studio",
        "Harbour front",
        "Mill 1",
        "Mill 2",
        "Deep inside",
    ]
    import_plan.join_with_previous(studio.session, plan, inside)
    chosen = [find_proposal(studio, plan, title) for title in ("Mill 2", "Studio")]
    import_plan.join_proposals(studio.session, plan, chosen)
    assert list_board(studio, plan) == [
        ("Studio", ["harbour-back.jpg", "mill_2.jpg", "IMG_1.jpg", "IMG_2.jpg"]),
        ("Harbour front", ["harbour-front.jpg"]),
        ("Mill 1", ["mill_1.jpg"]),
    ]
    with pytest.raises(InvalidInputError):
        import_plan.join_with_previous(studio.session, plan, chosen[1])


def test_what_cannot_be_imported_cannot_be_chosen(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    (unusable,) = import_plan.list_unusable(studio.session, plan)
    import_plan.choose_files(studio.session, plan, [unusable.id], True)
    assert not unusable.is_chosen
    with pytest.raises(InvalidInputError):
        import_plan.choose_verdict(studio.session, plan, "unsupported", True)


def test_files_and_groups_of_another_board_are_not_found(studio: ImportHub) -> None:
    one, other = make_plan(studio, "Studio"), make_plan(studio, "Studio")
    files = find_files(studio, other, "mill_1.jpg")
    with pytest.raises(NotFoundError):
        import_plan.move_files(studio.session, one, files, None)
    with pytest.raises(NotFoundError):
        import_plan.choose_files(studio.session, one, files, False)
    proposal = find_proposal(studio, other, "Studio")
    with pytest.raises(NotFoundError):
        import_plan.rename_proposal(studio.session, one, proposal, "Mine")


# --- Starting -------------------------------------------------------------------------------------


def test_an_import_follows_the_board(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    to = find_proposal(studio, plan, "Inside")
    before = find_files(studio, plan, "IMG_2.jpg")[0]
    import_plan.move_files(studio.session, plan, find_files(studio, plan, "mill_2.jpg"), to, before)
    import_plan.choose_files(
        studio.session, plan, find_files(studio, plan, "harbour-back.jpg"), False
    )
    job = import_plan.start_import(studio.session, plan, studio.user_id, False)
    job_id = job.id
    studio.session.commit()
    assert studio.work(job_id) == ["done"] * 5
    groups = studio.session.query(Group).order_by(Group.sort_key.desc()).all()
    assert [(group.title, group.state) for group in groups] == [
        ("Studio", "draft"),
        ("Inside", "draft"),
    ]
    names = [
        [image.name for image in sorted(studio.list_images(group.id), key=lambda i: i.position)]
        for group in groups
    ]
    assert names == [["harbour-front.jpg", "mill_1.jpg"], ["IMG_1.jpg", "mill_2.jpg", "IMG_2.jpg"]]
    with pytest.raises(ConflictError):
        import_plan.start_import(studio.session, plan, studio.user_id, True)


def test_a_plan_can_add_to_a_group_that_is_there(studio: ImportHub) -> None:
    studio.work(studio.create(studio.put_pictures("Old", 1, first=40)))
    group = studio.get_only_group()
    plan = make_plan(studio, "Studio")
    import_plan.propose(studio.session, plan, "existing", group.id)
    job_id = import_plan.start_import(studio.session, plan, None, True).id
    studio.session.commit()
    studio.work(job_id)
    assert len(studio.list_images(group.id)) == 7
    assert studio.get_only_group().title == "Old"


def test_a_group_in_the_trash_takes_nothing_in(either_site: Site) -> None:
    group_id = either_site.add_group()
    with either_site.session() as session:
        session.get_one(Group, group_id).state = "trash"
        account = session.query(DriveAccount).one()
        with pytest.raises(NotFoundError):
            import_plan.create_plan(session, account.id, None, ["f"], [], group_id)


def test_nothing_and_too_much_are_refused(site: Site) -> None:
    with site.session() as session:
        with pytest.raises(InvalidInputError):
            import_plan.create_plan(session, 1, None, [], [])
        with pytest.raises(InvalidInputError):
            import_plan.create_plan(session, 1, None, [], [str(n) for n in range(2001)])
        with pytest.raises(InvalidInputError):
            import_plan.create_plan(session, 1, None, ["x" * 300], [])
