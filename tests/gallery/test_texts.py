"""The pictures of the library inside of texts, and the preview of the admin pages."""

import pytest

from imagehub.domain.library.images import get_image
from imagehub.models import Group
from tests.fixtures.site import Site, read_csrf_token


def set_text(site: Site, number: int, text: str) -> None:
    with site.session() as session:
        group = session.get(Group, number)
        assert group is not None
        group.text = text


def find_image(site: Site, group: int) -> int:
    with site.session() as session:
        return get_image(session, group, 1).id


def test_a_description_shows_a_picture_as_long_as_visitors_see_it(site: Site) -> None:
    shown, work = site.add_group(["a.jpg"]), site.add_group(["b.jpg"])
    image = find_image(site, shown)
    set_text(site, work, f"**Sea**\n\n![The *first* one](image:{image}) ![](image:999999)")
    page = site.get(f"/groups/{work}").text
    assert "<strong>Sea</strong>" in page
    assert f'<a href="/groups/{shown}/1">' in page
    assert '<figcaption dir="auto">The first one</figcaption>' in page
    assert page.count("<figure") == 1
    assert '<meta name="description" content="Sea">' in page
    with site.session() as session:
        group = session.get(Group, shown)
        assert group is not None
        group.is_shown = False
    page = site.get(f"/groups/{work}").text
    assert "<figure" not in page
    assert "The first one" not in page


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_text_is_previewed_and_not_saved(site: Site, accept: str) -> None:
    group = site.add_group(["a.jpg"])
    client = site.signed_in_client()
    page = f"/admin/library/{group}"
    assert 'formaction="/admin/preview"' in client.get(page).text
    fields = {"csrf_token": read_csrf_token(client, page), "text": "*new* <script>"}
    answer = client.post("/admin/preview", data=fields, headers={"Accept": accept})
    assert answer.status_code == 200
    html = answer.json["html"] if accept.endswith("json") else answer.text
    assert "<em>new</em> &lt;script&gt;" in html
    assert "<em>new" not in site.get(f"/groups/{group}").text
