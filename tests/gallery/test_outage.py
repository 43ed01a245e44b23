"""The gallery while the database is killed and restarted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagehub.database import db
from tests.fixtures.database import MariaDB
from tests.fixtures.site import Site, make_site

PAGES = (
    "/",
    "/groups/1",
    "/groups/1/1",
    "/groups/1/all.zip",
    "/search?q=front",
    "/tags",
    "/feed.atom",
    "/sitemap.xml",
    "/media/1/1/960",
    "/media/full/1/1",
)
CALLS = ("/search/suggest?q=front", "/image/page?page=1", "/image/group?group=1")


@pytest.fixture
def mortal(mortal_mariadb: MariaDB, tmp_path: Path) -> Iterator[Site]:
    """A site with one work on a MariaDB server of its own."""
    site = make_site(tmp_path / "site", database_url=mortal_mariadb.create_database())
    assert site.add_group(["front.jpg", "back.jpg"]) == 1
    yield site
    with site.app.app_context():
        db.engine.dispose()


def test_with_the_database_gone_all_say_so_calmly_until_it_is_back(
    mortal: Site, mortal_mariadb: MariaDB
) -> None:
    site = mortal
    signed_in = site.signed_in_client()
    for path in ("/", "/search?q=front", "/search/suggest?q=front"):
        assert site.get(path).status_code == 200, path
    with mortal_mariadb.power_cut():
        for client in (site.client(), signed_in):
            for path in PAGES:
                answer = client.get(path, headers={"Accept": "text/html"})
                assert answer.status_code == 503, path
                assert answer.mimetype == "text/html", path
                assert int(answer.headers["Retry-After"]) >= 1
                assert "try again" in answer.text
                assert "pymysql" not in answer.text.lower()
        for path in CALLS:
            answer = site.get(path, headers={"Accept": "application/json"})
            assert answer.status_code == 503, path
            assert list(answer.json) == ["detail"]
        assert site.get("/health").status_code == 200
        assert site.get("/robots.txt").status_code == 200
        assert site.get("/offline").status_code == 200
    for client in (site.client(), signed_in):
        assert client.get("/").status_code == 200
        assert "back.jpg" in client.get("/groups/1").text
        assert client.get("/search/suggest?q=front").json["count"] == 1
