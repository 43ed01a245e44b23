"""Downloads of works that have a video beside their pictures, as a ZIP file and by themselves."""

import io
import zipfile

import pytest

from imagehub.domain.library import images as library_images
from imagehub.domain.library import private_data
from imagehub.domain.sharing import downloads, links
from imagehub.imaging.sources import FileSource
from imagehub.imaging.video import look_at_video
from imagehub.wiring import get_clients
from tests.fixtures.site import ConnectedSite
from tests.gallery.test_downloads import read_zip
from tests.gallery.test_originals import get_states, look_into_all
from tests.gallery.test_videos import CLEAN, PLACE, PRIVATE, set_film
from tests.imaging.private_data import files

PICTURE = files.make_jpeg()


def add_work(site: ConnectedSite, film: bytes, name: str = "film.mov") -> int:
    """Add a work of a picture and a film, both in OneDrive; nobody has looked into them."""
    contents = {"front.jpg": PICTURE, name: film}
    site.put_files("Films", contents)
    _, ids = site.find_folder("Films")
    group = site.add_group(list(contents))
    with site.session() as session:
        picture, moving = library_images.list_images(session, group)
        picture.drive_item_id, picture.mime_type = ids["front.jpg"], "image/jpeg"
        set_film(moving, drive_item_id=ids[name])
        picture.private_state = moving.private_state = ""
    return group


@pytest.mark.parametrize("is_looked_at", [False, True])
def test_a_zip_has_the_film_without_its_place(
    connected_site: ConnectedSite, is_looked_at: bool
) -> None:
    site = connected_site
    group = add_work(site, PRIVATE)
    if is_looked_at:
        look_into_all(site)
        assert get_states(site, group) == ["removable", "removable"]
    answer = site.get(f"/groups/{group}/all.zip")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    # It is made while it is sent: no size is promised, and no part of it.
    assert "Content-Length" not in answer.headers
    assert answer.headers.get("Accept-Ranges", "none") == "none"
    found = read_zip(answer.data)
    assert list(found) == ["front.jpg", "film.mov"]
    film = found["film.mov"]
    assert len(film) == len(PRIVATE)
    assert PLACE not in film
    assert look_at_video(FileSource(io.BytesIO(film))) == look_at_video(
        FileSource(io.BytesIO(PRIVATE))
    )
    assert not [secret for secret in files.SECRETS if secret in found["front.jpg"]]
    # Who asks for a part gets all of it.
    part = site.get(f"/groups/{group}/all.zip", headers={"Range": "bytes=100-199"})
    assert part.status_code == 200
    assert list(read_zip(part.data)) == list(found)


def test_a_zip_has_a_film_that_says_nothing_private_as_it_is(connected_site: ConnectedSite) -> None:
    group = add_work(connected_site, CLEAN)
    assert read_zip(connected_site.get(f"/groups/{group}/all.zip").data)["film.mov"] == CLEAN


def test_admins_get_the_film_as_it_is(connected_site: ConnectedSite) -> None:
    group = add_work(connected_site, PRIVATE)
    answer = connected_site.signed_in_client().get(f"/groups/{group}/all.zip")
    assert read_zip(answer.data) == {"front.jpg": PICTURE, "film.mov": PRIVATE}


def test_the_still_stands_for_a_film_that_cannot_be_cleaned(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, CLEAN)
    with site.session() as session:
        film = library_images.list_images(session, group)[1]
        film.private_state = private_data.FIXED
        key = library_images.pick_rendition(film, 1920).object_key
    with site.app.app_context():
        get_clients().store.put_object(key, b"the still", "image/webp")
    found = read_zip(site.get(f"/groups/{group}/all.zip").data)
    assert found["film.mov (1920 px).webp"] == b"the still"


def test_a_film_that_is_gone_is_named_in_the_zip(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, PRIVATE)
    (site.onedrive.root / "Films" / "film.mov").unlink()
    with zipfile.ZipFile(io.BytesIO(site.get(f"/groups/{group}/all.zip").data)) as archive:
        assert archive.namelist() == ["front.jpg", downloads.NOTE_NAME]
        assert "film.mov" in archive.read(downloads.NOTE_NAME).decode()


def test_without_downloads_there_is_no_zip_of_a_film(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, PRIVATE)
    with site.session() as session:
        _, token = links.create_share(session, None, [group], may_download=True)
        _, closed_token = links.create_share(session, None, [group], may_download=False)
    closed = site.restart(downloads="none")
    assert closed.get(f"/groups/{group}/all.zip").status_code == 404
    assert closed.get(f"/media/full/{group}/2").status_code == 404
    assert closed.get(f"/s/{closed_token}/full/{group}/2").status_code == 404
    # A link that allows downloads gives the film, cleaned.
    film = closed.get(f"/s/{token}/full/{group}/2").data
    assert len(film) == len(PRIVATE)
    assert PLACE not in film


def test_a_download_of_a_film_can_be_resumed(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, PRIVATE)
    look_into_all(site)
    url = f"/media/full/{group}/2/film.mov"
    whole = site.get(url)
    assert whole.headers["Content-Disposition"].startswith("attachment")
    assert whole.headers["Content-Length"] == str(len(PRIVATE))
    headers = {"Range": "bytes=30000-", "If-Range": whole.headers["ETag"]}
    rest = site.get(url, headers=headers)
    assert rest.status_code == 206
    assert rest.headers["Content-Range"] == f"bytes 30000-{len(PRIVATE) - 1}/{len(PRIVATE)}"
    assert rest.data == whole.data[30000:]
