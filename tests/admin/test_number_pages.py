"""The pages of numbers: charts with tables, periods, and what they say while nothing is counted."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from imagehub.database import now_utc
from imagehub.domain.library import series_edit
from imagehub.domain.sharing import links
from imagehub.domain.site.numbers import HUB, Counts, Period, Step, Thing, add_counts
from imagehub.domain.site.settings import save_site
from imagehub.models import Group, User
from imagehub.wiring import get_given_settings, refresh_settings
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site

PAGE = "/admin/numbers"


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


def turn(site: Site, state: str) -> None:
    with site.session() as session:
        save_site(session, get_given_settings(site.app), {"numbers": state})
    with site.app.app_context():
        refresh_settings(older_than_seconds=0)


@pytest.fixture
def counted(site: Site) -> dict[str, int]:
    """Turn numbers on, and count views of a work, a series and a link; return their numbers."""
    work, other = site.add_group(), site.add_group()
    with site.session() as session:
        session.get_one(Group, work).title = "Harbour <b>"
        series = series_edit.create_series(session, "Coast", [work])
        user = session.query(User).first()
        assert user is not None
        share, _token = links.create_share(session, user.id, [work], "For Ada")
        ids = {"group": work, "series": series.id, "share": share.id, "other": other}
    turn(site, "on")
    today = now_utc().date()
    with site.session() as session:
        add_counts(
            session,
            {
                (Thing("group", ids["group"]), today): Counts(1234, 800, 5, 2),
                (Thing("group", ids["group"]), today - timedelta(days=20)): Counts(6, 6),
                (Thing("group", 999), today): Counts(9999),
                (Thing("series", ids["series"]), today): Counts(3, 2),
                (Thing("share", ids["share"]), today): Counts(4, 1, 1),
                (HUB, today): Counts(2000, 900, 5),
            },
        )
    return ids


def test_a_hub_that_does_not_count_says_how_to_begin(client: FlaskClient) -> None:
    page = client.get(PAGE).text
    assert "Counting is off" in page
    assert 'href="/admin/settings#numbers"' in page
    assert "<svg viewBox" not in page


def test_the_overview_names_what_was_seen_most(
    client: FlaskClient, counted: dict[str, int]
) -> None:
    with count_statements() as statements:
        page = client.get(PAGE).text
    assert len(statements) <= 16
    assert "2,000" in page
    assert "Harbour &lt;b&gt;" in page
    assert "For Ada" in page
    assert "Coast" in page
    # What was deleted has no name any more.
    assert "9,999" not in page
    assert f'href="/admin/numbers/group/{counted["group"]}?days=30"' in page
    assert 'aria-current="true">30 days' in page
    german = client.get(PAGE, headers={"Accept-Language": "de"}).text
    assert "2.000" in german
    assert "Aufrufe" in german


@pytest.mark.parametrize(
    ("query", "views", "rows"),
    [
        ("", "1,240", 30),
        ("?days=7", "1,234", 7),
        ("?days=365", "1,240", 12),
        ("?days=8", "1,240", 30),
    ],
)
def test_a_work_has_numbers_for_each_period(
    client: FlaskClient, counted: dict[str, int], query: str, views: str, rows: int
) -> None:
    page = client.get(f"{PAGE}/group/{counted['group']}{query}").text
    assert re.search(r"<dt>Views</dt><dd>([\d,]+)", page)[1] == views  # type: ignore[index]
    # Each bar says its numbers, and so does the table. 20 days ago may be another month.
    bars = re.findall(r"([\d,]+) views, [\d,]+ visitors?</title>", page)
    assert bars[-1] in ({"1,240", "1,234"} if rows == 12 else {"1,234"})
    assert sum(int(bar.replace(",", "")) for bar in bars) == int(views.replace(",", ""))
    assert len(re.findall("<g><title>", page)) == rows
    assert len(re.findall('<tr><th scope="row">', page)) == rows
    assert "On other websites" in page
    assert "style=" not in page


def test_what_does_not_exist_has_no_numbers(client: FlaskClient, counted: dict[str, int]) -> None:
    for path in ("group/999", "series/999", "share/999", "image/1", "hub/0", "group/x"):
        assert client.get(f"{PAGE}/{path}").status_code == 404, path


def test_numbers_are_for_admins_only(site: Site, counted: dict[str, int]) -> None:
    for path in (PAGE, f"{PAGE}/group/{counted['group']}"):
        assert site.get(path).status_code == 302


def test_pages_of_works_series_and_links_lead_to_their_numbers(
    site: Site, client: FlaskClient, counted: dict[str, int]
) -> None:
    for kind, path in (
        ("group", f"/admin/library/{counted['group']}"),
        ("series", f"/admin/series/{counted['series']}"),
        ("share", "/admin/shares"),
    ):
        assert f'href="/admin/numbers/{kind}/{counted[kind]}"' in client.get(path).text, kind
    other = client.get(f"/admin/library/{counted['other']}").text
    assert "No views in this period." in other
    turn(site, "off")
    assert "/admin/numbers/group" not in client.get(f"/admin/library/{counted['group']}").text
    # What was counted can still be read.
    page = client.get(f"{PAGE}/group/{counted['group']}").text
    assert "Counting is off" in page
    assert "1,240" in page


def test_a_chart_is_as_high_as_its_highest_day(site: Site) -> None:
    from imagehub.admin.number_pages import HEIGHT, WIDTH, make_chart

    today = now_utc().date()
    counts = [Counts(0), Counts(1, 1), Counts(10_000, 5000)]
    steps = [Step(today - timedelta(days=n), one) for n, one in enumerate(counts)]
    with site.app.test_request_context():
        chart = make_chart(Period(7, steps, Counts()))
    assert chart.top == 10_000
    assert [bar.views_height for bar in chart.bars] == [0, 1.5, HEIGHT]
    assert chart.bars[2].visitors_height == HEIGHT / 2
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in chart.bars)
