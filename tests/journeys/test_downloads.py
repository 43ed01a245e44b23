"""A visitor downloads photos that say where they were taken, and gets them without it."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator

from imagehub.models import Group
from tests.fixtures.browser import Visit
from tests.fixtures.served_site import ServedSite
from tests.imaging.private_data import files
from tests.imaging.private_data.checks import check_cleaned, clean, examine


def test_a_visitor_gets_photos_without_their_place(
    served_site: ServedSite, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    site = served_site.site
    originals = {
        "front.jpg": files.make_jpeg(),
        "back.jpg": files.make_jpeg(),
        "clean.jpg": files.save(files.draw(), "JPEG", exif=files.make_clean_exif()),
    }
    site.put_files("Waves", originals)
    folder_id, ids = site.find_folder("Waves")
    chosen = [{"file_name": name, "file_id": ids[name]} for name in originals]
    wanted = {folder_id: {"all_image_id": chosen, "group": -1, "folder_name": "Waves"}}
    with site.working():
        assert site.send("/admin/add/image", {"image_list": wanted})["code"] == 1
    expected = {name: clean(data, examine(data)) for name, data in originals.items()}
    check_cleaned(originals["front.jpg"])

    with site.session() as session:
        number = session.query(Group).one().id
    page = visit(f"{served_site.url}/groups/{number}").page

    def download(link: Locator) -> Path:
        with page.expect_download() as started:
            link.click()
        target = tmp_path / started.value.suggested_filename
        started.value.save_as(target)
        return target

    single = download(page.get_by_role("link", name="Full-size image").first)
    assert single.read_bytes() == expected[single.name] != originals[single.name]
    packed = download(page.get_by_role("link", name="All shots as ZIP file"))
    assert packed.name == "Waves.zip"
    with zipfile.ZipFile(packed) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == expected
