"""Put the files of a plan into groups: by folder, name or capture time."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagehub.clients.drive_ids import fold_id
from imagehub.domain.file_names import (
    make_file_title,
    make_group_title,
    make_shot_key,
    make_work_title,
    split_stem,
)
from imagehub.messages import mark

# A longer pause between two pictures starts a new group.
TIME_GAP = timedelta(minutes=10)


@dataclass(frozen=True)
class FileFacts:
    """What grouping needs to know of a file.

    ``folder_name`` is "" for the top folder of the drive. ``taken_at`` is the camera's clock,
    without a time zone; None if OneDrive knows no capture time.
    """

    id: int
    file_name: str
    folder_id: str
    folder_name: str
    taken_at: datetime | None


# (title, files) of each group, in the order of the groups. Visitors of all languages see a title,
# so none is made of words: "" where neither a name nor a date says something.
Bundles = list[tuple[str, list[FileFacts]]]


@dataclass(frozen=True)
class Way:
    """A way to make groups: its label for people, and the function that does it."""

    label: str
    make_bundles: Callable[[Sequence[FileFacts]], Bundles]


def make_bundles(way: str, files: Sequence[FileFacts]) -> Bundles:
    """Put files into groups.

    :param way: one of :data:`WAYS`; ``existing`` makes one bundle.
    :param files: in the order in which they were read.
    :return: (title, files) in the order of the groups; none is empty.
    """
    make_key = make_file_order()
    ordered = sorted(files, key=lambda file: make_key(file.folder_id, file.file_name))
    return WAYS[way].make_bundles(ordered)


def make_file_order() -> Callable[[str, str], tuple[int, bytes, bool, bytes]]:
    """Return a sort key function for (folder id, file name).

    Folders come in the order in which the function first meets them; inside a folder files are in
    the order of :func:`make_shot_key`.
    """
    places: dict[str, int] = {}

    def make_key(folder_id: str, file_name: str) -> tuple[int, bytes, bool, bytes]:
        return places.setdefault(fold_id(folder_id), len(places)), *make_shot_key(file_name)

    return make_key


def _bundle_by(
    get_key: Callable[[FileFacts], Hashable], get_title: Callable[[FileFacts], str]
) -> Callable[[Sequence[FileFacts]], Bundles]:
    """Bundle files with equal keys, and title each bundle after its first file."""

    def bundle(files: Sequence[FileFacts]) -> Bundles:
        bundles: dict[Hashable, list[FileFacts]] = defaultdict(list)
        for file in files:
            bundles[get_key(file)].append(file)
        return [(get_title(some[0]), some) for some in bundles.values()]

    return bundle


_bundle_by_folder = _bundle_by(
    lambda file: fold_id(file.folder_id),
    lambda file: make_group_title(file.folder_name, file.file_name),
)
_bundle_by_stem = _bundle_by(
    lambda file: (fold_id(file.folder_id), split_stem(file.file_name).casefold()),
    lambda file: make_work_title(file.file_name),
)
_bundle_each = _bundle_by(lambda file: file.id, lambda file: make_file_title(file.file_name))


def _bundle_all(files: Sequence[FileFacts]) -> Bundles:
    names = {file.folder_name for file in files}
    title = names.pop() if len(names) == 1 else ""
    return [(title, list(files))] if files else []


def _bundle_by_time(files: Sequence[FileFacts]) -> Bundles:
    bundles: Bundles = []
    last: datetime | None = None
    untimed = [file for file in files if file.taken_at is None]
    timed = [(file.taken_at, file) for file in files if file.taken_at is not None]
    for taken_at, file in sorted(timed, key=lambda one: one[0]):
        if last is None or taken_at - last > TIME_GAP:
            bundles.append((taken_at.isoformat(" ", "minutes"), []))
        bundles[-1][1].append(file)
        last = taken_at
    return bundles + ([("", untimed)] if untimed else [])


WAYS: Mapping[str, Way] = {
    "folder": Way(mark("Folder"), _bundle_by_folder),
    "stem": Way(mark("File name"), _bundle_by_stem),
    "time": Way(mark("Capture time"), _bundle_by_time),
    "each": Way(mark("Single images"), _bundle_each),
    "one": Way(mark("One new group"), _bundle_all),
    "existing": Way(mark("An existing group"), _bundle_all),
}
