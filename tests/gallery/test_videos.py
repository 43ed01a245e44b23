"""Videos on the pages for visitors: their stills, how they play, and who may play them."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
import requests

from imagehub.domain.library import images as library_images
from imagehub.domain.library import private_data
from imagehub.domain.sharing import links
from imagehub.models import Image
from tests.fixtures.site import ConnectedSite, Site
from tests.gallery.test_iiif import VALIDATOR
from tests.gallery.test_originals import look_into_all
from tests.imaging.video.files import make_mp4, make_place

PLACE = b"+48.8584+002.2945/"
CLEAN = make_mp4(is_last=True, content=bytes(50_000))
PRIVATE = make_mp4(is_last=True, content=bytes(50_000), more=make_place(PLACE))


def add_film(
    site: Site,
    data: bytes | None = None,
    name: str = "film.mov",
    state: str = "published",
    **facts: Any,
) -> int:
    """Add a work whose first shot is a picture and whose second shot is a video."""
    number = site.add_group(["front.jpg", name], state)
    ids = {}
    if data is not None:
        assert isinstance(site, ConnectedSite)
        site.put_files("Films", {name: data})
        _, ids = site.find_folder("Films")
    with site.session() as session:
        image = library_images.list_images(session, number)[1]
        set_film(image, **facts)
        if ids:
            image.drive_item_id, image.private_state = ids[name], ""
    return number


def set_film(image: Image, **facts: Any) -> None:
    image.video_codec, image.duration_ms, image.mime_type = "H.264", 42_000, "video/quicktime"
    image.preview_reason, image.has_sound = "The still of a video", True
    for name, value in facts.items():
        setattr(image, name, value)


def find_policy(answer: Any) -> str:
    found = re.search("media-src ([^;]*)", answer.headers["Content-Security-Policy"])
    return found[1] if found else ""


def test_a_video_is_played_from_a_fresh_address_of_onedrive(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_film(site, CLEAN)
    look_into_all(site)
    answer = site.get(f"/groups/{group}/2/video")
    assert answer.status_code == 302
    assert answer.data == b""
    assert answer.headers["Cache-Control"] == "no-store"
    part = requests.get(answer.headers["Location"], headers={"Range": "bytes=4-7"}, timeout=30)
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert site.get(f"/groups/{group}/1/video").status_code == 404


@pytest.mark.parametrize("is_looked_at", [False, True])
def test_a_video_with_a_place_plays_through_the_hub_without_it(
    connected_site: ConnectedSite, is_looked_at: bool
) -> None:
    site = connected_site
    group = add_film(site, PRIVATE)
    if is_looked_at:
        look_into_all(site)
    whole = site.get(f"/groups/{group}/2/video")
    assert (whole.status_code, whole.content_type) == (200, "video/mp4")
    assert len(whole.data) == len(PRIVATE)
    assert PLACE not in whole.data
    assert "Content-Disposition" not in whole.headers
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = site.get(f"/groups/{group}/2/video", headers={"Range": "bytes=100-199"})
    assert (part.status_code, len(part.data)) == (206, 100)
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(PRIVATE)}"
    assert part.data == whole.data[100:200]


def test_a_long_part_of_a_cleaned_video_is_sent_piece_by_piece(
    connected_site: ConnectedSite,
) -> None:
    site = connected_site
    data = make_mp4(is_last=True, content=bytes(9_000_000), more=make_place(PLACE))
    group = add_film(site, data)
    look_into_all(site)
    part = site.get(f"/groups/{group}/2/video", headers={"Range": "bytes=0-"})
    assert (part.status_code, len(part.data)) == (206, 8_000_000)
    assert part.headers["Content-Range"] == f"bytes 0-7999999/{len(data)}"
    rest = site.get(f"/groups/{group}/2/video", headers={"Range": "bytes=8000000-"})
    assert len(part.data) + len(rest.data) == len(data)


def test_videos_play_where_downloads_are_off(connected_site: ConnectedSite) -> None:
    group = add_film(connected_site, PRIVATE)
    closed = connected_site.restart(downloads="none")
    assert closed.get(f"/media/full/{group}/2").status_code == 404
    played = closed.get(f"/groups/{group}/2/video")
    assert played.status_code == 200
    assert PLACE not in played.data


def test_a_video_that_cannot_be_cleaned_is_a_still_for_visitors(
    connected_site: ConnectedSite,
) -> None:
    site = connected_site
    group = add_film(site, CLEAN, private_state=private_data.FIXED)
    with site.session() as session:
        library_images.list_images(session, group)[1].private_state = private_data.FIXED
    page = site.get(f"/groups/{group}/2", follow_redirects=True).text
    assert "<video" not in page
    assert "data-length" not in page
    assert site.get(f"/groups/{group}/2/video").status_code == 404


def test_drafts_play_for_admins_only(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_film(site, CLEAN, state="draft")
    assert site.get(f"/groups/{group}/2/video").status_code == 404
    assert site.signed_in_client().get(f"/groups/{group}/2/video").status_code == 302


def test_the_page_of_a_shot_plays_it_without_a_script(site: Site) -> None:
    group = add_film(site)
    answer = site.get(f"/groups/{group}/2")
    [video] = re.findall(r"<video[^>]*>.*?</video>", answer.text)
    assert 'controls playsinline preload="none"' in video
    assert f'<source src="/groups/{group}/2/video" type="video/mp4">' in video
    assert re.search(rf'poster="/media/{group}/2/1920', video)
    assert "autoplay" not in video
    assert "loop" not in video
    assert "(video, 0:42)" in video
    assert "'self'" in find_policy(answer)


def test_a_tile_of_a_video_says_how_long_it_is(site: Site) -> None:
    group = add_film(site)
    page = site.get(f"/groups/{group}", follow_redirects=True).text
    assert "<video" not in page
    assert page.count('data-length="0:42"') == 1
    assert f'data-video="/groups/{group}/2/video" data-video-type="video/mp4"' in page
    with site.session() as session:
        film = library_images.list_images(session, group)[1]
        film.group.cover_id = film.group.chosen_cover_id = film.id
    # The second answer is the one that was kept.
    for _ in range(2):
        front = site.get("/")
        assert 'data-length="0:42"' in front.text
        assert "'self'" in find_policy(front)
    assert not find_policy(site.get("/tags"))


def test_a_loop_is_silent_and_starts_by_script_only(site: Site) -> None:
    group = add_film(site, is_loop=True)
    [video] = re.findall("<video[^>]*>", site.get(f"/groups/{group}/2").text)
    assert " loop muted " in video
    assert "autoplay" not in video


def test_shared_videos_play_by_the_address_of_the_link(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_film(site, PRIVATE)
    with site.session() as session:
        _, token = links.create_share(session, None, [group])
    page = site.get(f"/s/{token}/{group}/2")
    assert f'<source src="/s/{token}/video/{group}/2" type="video/mp4">' in page.text
    assert find_policy(page)
    played = site.get(f"/s/{token}/video/{group}/2")
    assert played.status_code == 200
    assert PLACE not in played.data
    assert played.headers["Cache-Control"] == "private, no-store"
    other = add_film(site, CLEAN, name="other.mov")
    assert site.get(f"/s/{token}/video/{other}/2").status_code == 404
    assert site.get(f"/s/nothing/video/{group}/2").status_code == 404


# --- For search engines and other sites -----------------------------------------------------------


def find_linked_data(page: str) -> dict[str, Any]:
    [text] = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page)
    data: dict[str, Any] = json.loads(text)
    return data


def test_linked_data_describe_the_video(site: Site) -> None:
    group = add_film(site)
    data = find_linked_data(site.get(f"/groups/{group}", follow_redirects=True).text)
    [video] = data["video"]
    assert video["@type"] == "VideoObject"
    assert video["contentUrl"] == f"http://localhost/groups/{group}/2/video"
    assert video["thumbnailUrl"].startswith(f"http://localhost/media/{group}/2/1920")
    assert (video["duration"], video["encodingFormat"]) == ("PT42S", "video/mp4")
    assert datetime.fromisoformat(video["uploadDate"]).tzinfo
    assert len(data["image"]) == 2
    plain = site.add_group()
    assert "video" not in find_linked_data(site.get(f"/groups/{plain}", follow_redirects=True).text)


def test_the_manifest_has_a_canvas_with_a_length(site: Site) -> None:
    group = add_film(site, width_px=640, height_px=360)
    data = site.get(f"/iiif/groups/{group}/manifest.json").get_json(force=True)
    VALIDATOR.validate(data)
    picture, film = data["items"]
    assert "duration" not in picture
    assert film["duration"] == 42
    body = film["items"][0]["items"][0]["body"]
    assert body == {
        "id": f"http://localhost/groups/{group}/2/video",
        "type": "Video",
        "format": "video/mp4",
        "width": 640,
        "height": 360,
        "duration": 42,
    }
    still = film["placeholderCanvas"]["items"][0]["items"][0]["body"]
    assert still["type"] == "Image"


def test_a_video_of_unknown_length_is_a_still_in_the_manifest(site: Site) -> None:
    group = add_film(site, duration_ms=0)
    data = site.get(f"/iiif/groups/{group}/manifest.json").get_json(force=True)
    VALIDATOR.validate(data)
    assert "duration" not in data["items"][1]


def test_the_feed_encloses_the_video_of_a_cover(site: Site) -> None:
    group = add_film(site, size_bytes=4711)
    assert 'rel="enclosure"' not in site.get("/feed.atom").text
    with site.session() as session:
        film = library_images.list_images(session, group)[1]
        film.group.cover_id = film.group.chosen_cover_id = film.id
    [link] = re.findall('<link rel="enclosure"[^>]*>', site.get("/feed.atom").text)
    assert f'href="http://localhost/groups/{group}/2/video"' in link
    assert 'type="video/mp4"' in link
    assert 'length="4711"' in link


def test_programs_see_the_still_as_the_picture(site: Site) -> None:
    group = add_film(site)
    data = site.get(f"/image/group?group={group}").get_json()["data"]
    assert [one["imageID"] for one in data] == [1, 2]
    assert ".webp" in data[1]["image"]
