"""The admin's first page and the log."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from imagehub.admin.words import describe_distance, describe_size
from imagehub.database import now_utc
from imagehub.domain.imports import reports
from imagehub.domain.library import groups
from imagehub.domain.people import audit
from imagehub.domain.site import overview
from imagehub.models import DriveAccount, Group, Image, ImportItem, ImportJob
from imagehub.wiring import get_clients
from tests.admin.pages import send
from tests.fixtures.site import NAME, ConnectedSite, Site


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


def add_job(site: Site, states: list[str], state: str = "finished") -> int:
    """An import with an item of each of the states."""
    with site.session() as session:
        account = session.query(DriveAccount).first()
        assert account is not None, "add a group first"
        job = ImportJob(drive_account_id=account.id, state=state, item_count=len(states))
        session.add(job)
        session.flush()
        for number, one in enumerate(states):
            session.add(
                ImportItem(
                    job_id=job.id,
                    drive_item_id=f"file-{number}",
                    file_name=f"shot {number}.jpg",
                    state=one,
                    reason="This file is no picture." if one == "failed" else "",
                )
            )
        return job.id


def test_an_empty_hub_shows_the_way_to_the_first_picture(client: FlaskClient) -> None:
    page = client.get("/admin/").text
    steps = [page.index(f'data-step="{step}"') for step in ("connect", "select", "view")]
    assert steps == sorted(steps)
    assert "attention-head" not in page


def read_figures(client: FlaskClient) -> dict[str, str]:
    """The figures of the first page by their names."""
    pattern = r'data-figure="(\w+)"><dt>[^<]*</dt><dd>([^<]+)</dd>'
    return dict(re.findall(pattern, client.get("/admin/").text))


def test_counts_leave_out_the_trash(site: Site, client: FlaskClient) -> None:
    site.add_group(["a.jpg", "b.jpg"])
    site.add_group(["c.jpg"], state="draft")
    trashed = site.add_group(["d.jpg", "e.jpg"])
    with site.session() as session:
        session.execute(update(Group).where(Group.id == trashed).values(state="trash"))
        groups.refresh_group(session, trashed)
    figures = read_figures(client)
    assert figures["groups"] == "1"
    assert figures["drafts"] == "1"
    assert figures["images"] == "3"
    assert figures["renditions"] == "15\N{NO-BREAK SPACE}kB"


def test_totals_of_a_large_library_are_cached(
    site: Site, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "MAX_SMALL_IMAGES", 2)
    for count, told in ((1, "1"), (2, "2"), (3, "3"), (4, "3")):
        site.add_group([f"{count}.jpg"])
        figures = read_figures(client)
        assert figures["groups"] == str(count)
        assert figures["images"] == told


def test_the_newest_imports_with_failed_items_are_listed(site: Site, client: FlaskClient) -> None:
    site.add_group(["a.jpg"])
    jobs = [add_job(site, ["failed", "done"]) for _ in range(7)]
    add_job(site, ["failed", "queued"], "running")
    add_job(site, ["done"])
    with site.session() as session:
        failed = reports.list_failed_jobs(session)
        assert [job.id for job in failed] == jobs[:1:-1]
        assert failed[0] == reports.FailedJob(jobs[-1], 1, "shot 0.jpg", "This file is no picture.")


def test_a_hub_in_order_says_so(site: Site, client: FlaskClient) -> None:
    site.add_group(["a.jpg"])
    with site.session() as session:
        vault = get_clients(site.app).vault
        assert vault is not None
        session.query(DriveAccount).one().token_cache = vault.seal("{}")
    assert "Nothing needs attention." in client.get("/admin/").text


def test_what_needs_attention_comes_first(site: Site, client: FlaskClient) -> None:
    site.add_group(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"])
    with site.session() as session:
        images = session.query(Image).all()
        images[0].alt = ""
        images[1].drive_state = "missing"
        images[2].drive_state = "changed"
        images[3].drive_state = images[4].drive_state = "outside"
        account = session.query(DriveAccount).one()
        account.state, account.state_reason = "needs_reconnect", "The sign-in was withdrawn."
    page = client.get("/admin/").text
    found = [
        page.index(words)
        for words in (
            "OneDrive is not connected",
            "1 original is missing in OneDrive",
            "2 originals are outside the root folder",
            "1 original has changed in OneDrive",
            "1 image has no alt text",
            'id="counts-head"',
            'id="latest-head"',
        )
    ]
    assert found == sorted(found)
    assert "The sign-in was withdrawn." in page
    assert "/admin/library?filter=outside" in page
    assert "/admin/connection#root-head" in page


@pytest.mark.parametrize(("days", "is_told"), [(60, False), (78, True)])
def test_an_unused_sign_in_gives_a_warning(
    site: Site, client: FlaskClient, days: int, is_told: bool
) -> None:
    site.add_group(["a.jpg"])
    refreshed_at = now_utc() - timedelta(days=days)
    with site.session() as session:
        vault = get_clients(site.app).vault
        assert vault is not None
        account = session.query(DriveAccount).one()
        account.token_cache, account.refreshed_at = vault.seal("{}"), refreshed_at
    page = client.get("/admin/").text
    assert ('data-note="sign-in"' in page) == is_told
    end = refreshed_at + timedelta(days=90)
    assert (f"expires on {end:%-d %B %Y} unless" in page) == is_told


def test_failed_items_are_listed_and_retried(site: Site, client: FlaskClient) -> None:
    site.add_group(["a.jpg"])
    job = add_job(site, ["done", "failed", "failed"])
    page = client.get("/admin/").text
    assert "2 files could not be imported" in page
    assert "shot 1.jpg: This file is no picture. And 1 more." in page
    answer = send(client, f"/admin/import/{job}/retry", "/admin/", origin="home")
    assert answer.location == "/admin/"
    with site.session() as session:
        report = reports.describe_job(session, job)
        assert (report.state, report.queued_count, report.failed_count) == ("running", 2, 0)
    page = client.get("/admin/").text
    assert 'data-note="failed"' not in page
    assert "data-jobs" in page
    assert "Retried 2 failed files of an import." in page
    for number in ("999", "x"):
        assert send(client, f"/admin/import/{number}/retry", "/admin/").status_code == 404


def test_running_imports_show_their_progress(site: Site, client: FlaskClient) -> None:
    site.add_group(["a.jpg"])
    job = add_job(site, ["done", "queued", "failed", "running"], "running")
    page = client.get("/admin/").text
    assert '<progress max="4" value="2" aria-label="2 of 4 files, 1 failed">' in page
    [told] = client.get("/admin/home/jobs").json["jobs"]
    assert told == {
        "id": job, "finished": 2, "total": 4, "failed": 1, "words": "2 of 4 files, 1 failed",
    }  # fmt: skip


def test_an_import_without_a_worker_is_reported(site: Site, client: FlaskClient) -> None:
    site.add_group(["a.jpg"])
    add_job(site, ["queued"], "running")
    assert 'data-note="stalled"' not in client.get("/admin/").text
    with site.session() as session:
        long_ago = now_utc() - timedelta(minutes=10)
        session.execute(update(ImportJob).values(last_activity_at=long_ago))
        session.execute(update(ImportItem).values(available_at=long_ago))
    assert 'data-note="stalled"' in client.get("/admin/").text


# --- The log --------------------------------------------------------------------------------------


def test_the_log_shows_who_signed_in_from_where(client: FlaskClient) -> None:
    page = client.get("/admin/activity").text
    assert "Signed in with" in page
    assert "127.0.0.1" in page


def test_the_log_is_filtered_and_comes_page_by_page(site: Site, client: FlaskClient) -> None:
    with site.session() as session:
        for number in range(audit.PAGE_SIZE + 5):
            audit.record(session, None, "set_cover", number, name=f"Group {number}")
    page = client.get("/admin/activity?what=group").text
    assert page.count("Changed the cover of") == audit.PAGE_SIZE
    assert "Signed in" not in page
    following = re.search(r'href="([^"]+)" rel="next"', page)
    assert following is not None
    older = client.get(following.group(1).replace("&amp;", "&")).text
    assert older.count("Changed the cover of") == 5
    assert 'rel="next"' not in older
    assert (
        "Changed the cover of" not in client.get("/admin/activity", query_string={"who": NAME}).text
    )
    assert "No entry matches this filter." in client.get("/admin/activity?who=Nobody").text


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "what=<script>", "who=%00", "before=" + "9" * 15]
)
def test_a_strange_filter_breaks_nothing(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/admin/activity?{query}")
    assert answer.status_code == 200
    assert "<script>" not in answer.text.split("</head>")[1]


def test_words_in_the_log_are_shown_as_text(site: Site, client: FlaskClient) -> None:
    with site.session() as session:
        audit.record(session, None, "set_cover", 1, name="<img src=x>")
    for path in ("/admin/", "/admin/activity"):
        assert "<img src=x>" not in client.get(path).text


def test_calls_with_a_token_are_in_the_log(site: Site, client: FlaskClient) -> None:
    group = site.add_group(["a.jpg"])
    body = {"image_list": {str(group): [{"image_id": 1}]}}
    site.post("/admin/delete/image", json=body, headers=site.bearer())
    with site.session() as session:
        entry = audit.list_entries(session).entries[0]
        assert (entry.actor_name, entry.kind, entry.address) == (NAME, "image", "127.0.0.1")


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1_234_567, "1.2 MB"), (999_600, "1 MB"),
     (45_300_000_000, "45.3 GB"), (123_400_000, "123 MB")],
)  # fmt: skip
def test_sizes_read_as_people_say_them(size: int, words: str) -> None:
    assert describe_size(size) == words.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (60, "1 minute ago"), (3599, "60 minutes ago"), (-7200, "in 2 hours"),
     (86_400 * 3, "3 days ago"), (86_400 * 20, "3 weeks ago"), (86_400 * 900, "2 years ago")],
)  # fmt: skip
def test_moments_read_as_people_say_them(seconds: float, words: str) -> None:
    assert describe_distance(seconds) == words


# --- Help -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "has_search"),
    [
        ("/admin/", False),
        ("/admin/settings", False),
        ("/admin/shares", False),
        ("/admin/activity", True),
        ("/admin/library", True),
    ],
)
def test_help_names_the_key_of_the_search_where_there_is_one(
    client: FlaskClient, path: str, has_search: bool
) -> None:
    help_list = client.get(path).text.split('<dialog id="help"', 1)[1]
    assert ("Search or filter this page" in help_list) == has_search
    assert "Go to Library" in help_list


def test_the_storage_space_is_fresh_after_an_upload(connected_site: ConnectedSite) -> None:
    client = connected_site.signed_in_client()
    connected_site.add_group()
    before = client.get("/admin/home/storage").json
    assert before["total"] > 0
    connected_site.put_files("Works", {"large.bin": bytes(700_000)})
    assert 'data-storage="/admin/home/storage"' in client.get("/admin/").text
    # The emulator looks at its folder when a folder is opened.
    assert client.get("/admin/drive").status_code == 200
    after = client.get("/admin/home/storage").json
    assert after["used"] == before["used"] + 700_000
    # The page itself knows it from now on.
    assert after["words"] in client.get("/admin/").text


def test_without_onedrive_the_last_known_storage_space_is_shown(
    connected_site: ConnectedSite,
) -> None:
    client = connected_site.signed_in_client()
    known = client.get("/admin/home/storage").json
    connected_site.onedrive.set_fault("status", status=503, retry_after=600)
    assert client.get("/admin/home/storage").json == known
