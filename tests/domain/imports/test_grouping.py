"""Files are put into groups."""

from imagehub.domain.imports import grouping


def test_folders_keep_their_order_and_shots_are_sorted_inside() -> None:
    names = ("1 front.jpg", "2 detail.jpg", "10 back.jpg")
    files = [
        grouping.FileFacts(number, name, folder, folder, None)
        for folder in ("later", "earlier")
        for number, name in enumerate(sorted(names))
    ]
    bundles = grouping.make_bundles("folder", files)
    assert [(title, [file.file_name for file in some]) for title, some in bundles] == [
        ("later", list(names)),
        ("earlier", list(names)),
    ]
