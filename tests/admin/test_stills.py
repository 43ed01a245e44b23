"""Videos of earlier versions in the admin pages: where they are said, and the act for them."""

import re

import pytest
from sqlalchemy import select

from imagehub.domain.library import images as library_images
from imagehub.domain.people import audit
from imagehub.imaging.kinds import EARLIER_VIDEO_FACT
from imagehub.models import ImportItem
from tests.admin.pages import read_toasts
from tests.fixtures.site import Site, read_csrf_token


def add_still(site: Site, name: str = "film.mp4") -> int:
    """Add a work of a picture and a video that an earlier version imported."""
    number = site.add_group(["front.jpg", name])
    with site.session() as session:
        still = library_images.list_images(session, number)[1]
        still.preview_reason, still.mime_type = EARLIER_VIDEO_FACT, "video/mp4"
    return number


def list_asked(site: Site) -> list[tuple[int | None, str]]:
    with site.session() as session:
        rows = session.execute(select(ImportItem.group_id, ImportItem.file_name))
        return [(row.group_id, row.file_name) for row in rows]


def list_log(site: Site) -> list[str]:
    with site.session() as session:
        return [audit.describe(entry) for entry in audit.list_entries(session).entries]


def test_home_offers_to_play_all_of_them(site: Site) -> None:
    client = site.signed_in_client()
    assert 'data-note="still"' not in client.get("/admin/").text
    first, second = add_still(site), add_still(site)
    home = client.get("/admin/").text
    assert 'data-note="still"' in home
    assert "2 videos are shown as stills" in home
    assert 'action="/admin/videos/play"' in home
    token = read_csrf_token(client, "/admin/")
    answer = client.post("/admin/videos/play", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/")
    assert list_asked(site) == [(first, "film.mp4"), (second, "film.mp4")]
    assert "Made 2 videos playable that were shown as stills." in list_log(site)
    assert "2 videos are being imported." in read_toasts(client)
    # Again, nothing is imported twice.
    client.post("/admin/videos/play", data={"csrf_token": token})
    assert len(list_asked(site)) == 2


def test_the_page_of_a_work_offers_to_play_its_own(site: Site) -> None:
    add_still(site)
    number = add_still(site, "tide.mov")
    client = site.signed_in_client()
    url = f"/admin/library/{number}"
    page = client.get(url).text
    [note] = re.findall(r'<div class="note" data-note="stills">.*?</button>', page, re.DOTALL)
    assert "1 video is shown as a still" in note
    assert f'formaction="{url}/shots/play-stills"' in note
    # What was stored is no longer true.
    assert "ImageHub does not decode videos." not in page
    assert "data-preview-reason>Visitors see the preview" in page
    token = read_csrf_token(client, url)
    answer = client.post(f"{url}/shots/play-stills", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, url)
    assert list_asked(site) == [(number, "tide.mov")]
    plain = site.add_group()
    assert "data-note" not in client.get(f"/admin/library/{plain}").text


@pytest.mark.parametrize("is_selected", [True, False])
def test_the_library_lists_them_and_plays_the_selected(site: Site, is_selected: bool) -> None:
    first, _second = add_still(site), add_still(site)
    site.add_group()
    client = site.signed_in_client()
    seen_on = "/admin/library?filter=still"
    page = client.get(seen_on).text
    assert page.count('class="row"') == 2
    assert "1 video shown as a still" in page
    assert 'formaction="/admin/library/play-stills"' in page
    form = {"csrf_token": read_csrf_token(client, seen_on), "list-filter": "still"}
    if is_selected:
        form["group"] = str(first)
    answer = client.post("/admin/library/play-stills", data=form)
    if is_selected:
        assert (answer.status_code, answer.headers["Location"]) == (303, seen_on)
        assert list_asked(site) == [(first, "film.mp4")]
    else:
        assert answer.status_code == 422
        assert list_asked(site) == []


def test_without_any_the_act_is_refused_in_words(site: Site) -> None:
    client = site.signed_in_client()
    token = read_csrf_token(client, "/admin/library")
    client.post("/admin/videos/play", data={"csrf_token": token})
    assert "None of these videos is shown as a still." in read_toasts(client)
