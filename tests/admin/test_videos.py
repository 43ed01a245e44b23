"""Videos in the admin pages: facts, hints, playing, and how they are played to visitors."""

import re
from urllib.parse import urlsplit

import pytest

from imagehub.domain.library import images as library_images
from imagehub.domain.library import private_data
from imagehub.models import Group
from tests.admin.library import send_json
from tests.fixtures.site import Site, read_csrf_token
from tests.gallery.test_videos import add_film, find_policy


def test_the_page_of_a_group_plays_its_videos_and_says_what_they_are(site: Site) -> None:
    group = add_film(site, size_bytes=12_400_000)
    answer = site.signed_in_client().get(f"/admin/library/{group}")
    [facts] = re.findall(r"data-video-facts>(.*?)</span>", answer.text)
    assert facts == "Video · 0:42 · 12.4\N{NO-BREAK SPACE}MB · H.264 · with sound"
    [video] = re.findall(r"<video.*?</video>", answer.text, re.DOTALL)
    assert 'controls playsinline preload="none"' in video
    assert f'<source src="/groups/{group}/2/video" type="video/mp4">' in video
    assert "'self'" in find_policy(answer)
    assert answer.text.count('data-length="0:42"') == 1
    assert "data-video-hint" not in answer.text


def test_a_codec_that_not_every_browser_plays_has_a_hint(site: Site) -> None:
    group = add_film(site, video_codec="HEVC")
    page = site.signed_in_client().get(f"/admin/library/{group}").text
    assert "Not every browser can play HEVC." in page


def test_a_video_that_visitors_cannot_play_says_so(site: Site) -> None:
    group = add_film(site, private_state=private_data.FIXED)
    assert "data-video-hidden" in site.signed_in_client().get(f"/admin/library/{group}").text
    group = add_film(site)
    assert "data-video-hidden" not in site.signed_in_client().get(f"/admin/library/{group}").text


def test_pages_of_groups_without_videos_allow_none(site: Site) -> None:
    group = site.add_group()
    answer = site.signed_in_client().get(f"/admin/library/{group}")
    assert not find_policy(answer)
    assert "playback-" not in answer.text


def read_loop(site: Site, group: int) -> bool:
    with site.session() as session:
        return library_images.list_images(session, group)[1].is_loop


def test_a_loop_is_saved_at_once_and_by_the_form(site: Site) -> None:
    group = add_film(site)
    client = site.signed_in_client()
    with site.session() as session:
        version = session.get_one(Group, group).version
    edit = {"version": version, "changes": {"playback": "loop"}, "base": {"playback": ""}}
    seen_on = f"/admin/library/{group}"
    status, answer = send_json(client, f"{seen_on}/shots/2/save", edit, seen_on)
    assert (status, answer["fields"]["playback"]) == (200, "loop")
    assert read_loop(site, group)
    assert '<option value="loop" selected>' in client.get(seen_on).text
    token = read_csrf_token(client, seen_on)
    form = {"playback-2": "", "was-playback-2": "loop", "csrf_token": token}
    assert client.post(f"{seen_on}/shots", data=form).status_code == 303
    assert not read_loop(site, group)


@pytest.mark.parametrize(("shot", "value"), [(1, "loop"), (2, "backwards")])
def test_only_videos_have_a_playback_and_only_a_known_one(
    site: Site, shot: int, value: str
) -> None:
    group = add_film(site)
    client = site.signed_in_client()
    edit = {"version": 1, "changes": {"playback": value}, "base": {"playback": ""}}
    seen_on = f"/admin/library/{group}"
    status, _ = send_json(client, f"{seen_on}/shots/{shot}/save", edit, seen_on)
    assert status == 422
    assert not read_loop(site, group)


def test_the_library_marks_groups_whose_cover_is_a_video(site: Site) -> None:
    group = add_film(site)
    client = site.signed_in_client()
    assert "data-length" not in client.get("/admin/library").text
    with site.session() as session:
        film = library_images.list_images(session, group)[1]
        film.group.cover_id = film.group.chosen_cover_id = film.id
    page = client.get("/admin/library").text
    [link] = re.findall('<a class="row-picture" data-length="0:42" href="([^"]*)"', page)
    assert urlsplit(link).path == f"/admin/library/{group}"
