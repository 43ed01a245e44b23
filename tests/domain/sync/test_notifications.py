"""Notifications of changes: subscriptions, their handshake, and what a notification leads to."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from imagehub.config import Settings
from imagehub.database import db, now_utc
from imagehub.domain.imports.jobs import Selection, create_import
from imagehub.domain.onedrive import accounts
from imagehub.domain.sync import notifications, schedule
from imagehub.domain.sync.check import check_drive
from imagehub.models import DriveAccount, DriveSubscription, DriveWatch, Image, User
from imagehub.wiring import get_clients, get_settings
from tests.fixtures.importing import make_jpeg
from tests.fixtures.notified import (
    find_subscription,
    get_account_id,
    get_subscription,
    keep_subscriptions,
)
from tests.fixtures.programs import wait_until
from tests.fixtures.site import ConnectedSite


def post(site: ConnectedSite, key: str, **note: Any) -> int:
    """Send a notification as the service does, and return the status of the answer."""
    answer = site.post(f"{notifications.PATH}{key}", json={"value": [note]})
    return answer.status_code


def change(site: ConnectedSite, **values: Any) -> None:
    with site.session() as session:
        session.execute(update(DriveSubscription).values(**values))


def add_image(site: ConnectedSite) -> None:
    """Give the account an image, so that it is watched."""
    group = site.add_group()
    with site.session() as session:
        session.execute(
            update(Image)
            .where(Image.group_id == group)
            .values(drive_account_id=get_account_id(site), drive_item_id="nothing")
        )


def list_due(site: ConnectedSite) -> list[int]:
    with site.session() as session:
        return schedule.list_due_accounts(session, 0)


def check(site: ConnectedSite) -> None:
    with site.app.app_context():
        report = check_drive(db.session(), get_clients(), get_account_id(site))
        assert report is not None and report.is_done, report


# --- Subscriptions --------------------------------------------------------------------------------


def test_a_subscription_is_created_once_with_a_handshake(
    either_notified_site: ConnectedSite,
) -> None:
    site = either_notified_site
    keep_subscriptions(site)
    keep_subscriptions(site)
    [asked] = site.onedrive.log("POST", "/subscriptions$")
    assert asked["status"] == 201
    row = get_subscription(site)
    assert row.subscription_id and row.problem == ""
    assert row.expires_at is not None
    assert abs(row.expires_at - now_utc() - notifications.LIFE) < timedelta(minutes=1)
    with site.session() as session:
        info = notifications.describe_notifications(
            session, get_settings(site.app), get_account_id(site)
        )
    assert (info.state, info.until) == ("on", row.expires_at)


def test_it_is_renewed_after_half_of_its_life(
    either_notified_site: ConnectedSite,
) -> None:
    site = either_notified_site
    keep_subscriptions(site)
    row = get_subscription(site)
    assert row.expires_at is not None
    assert abs(row.next_at - now_utc() - notifications.LIFE / 2) < timedelta(minutes=1)
    change(site, next_at=now_utc(), expires_at=now_utc() + timedelta(hours=1))
    keep_subscriptions(site)
    renewed = get_subscription(site)
    assert (renewed.subscription_id, renewed.key) == (row.subscription_id, row.key)
    assert renewed.expires_at is not None and renewed.expires_at >= row.expires_at
    assert len(site.onedrive.log("PATCH", "/subscriptions/")) == 1


@pytest.mark.parametrize("is_expired", [False, True])
def test_one_that_is_gone_is_created_anew(notified_site: ConnectedSite, is_expired: bool) -> None:
    site = notified_site
    keep_subscriptions(site)
    row = get_subscription(site)
    values: dict[str, Any] = {"next_at": now_utc(), "subscription_id": "another"}
    if is_expired:
        values["expires_at"] = now_utc() - timedelta(minutes=1)
    change(site, **values)
    keep_subscriptions(site)
    again = get_subscription(site)
    assert again.subscription_id not in ("", "another", row.subscription_id)
    assert again.key != row.key and again.secret_hash != row.secret_hash


def test_a_lost_answer_leaves_no_second_subscription(notified_site: ConnectedSite) -> None:
    site = notified_site
    site.onedrive.set_fault("lost_answer", method="POST", path="/subscriptions$", times=1)
    keep_subscriptions(site)
    row = get_subscription(site)
    assert row.subscription_id and row.problem == ""
    statuses = [one["status"] for one in site.onedrive.log("POST", "/subscriptions$")]
    assert statuses[-2:] == [409, 201], statuses
    assert len(site.onedrive.log("DELETE", "/subscriptions/")) == 1


def test_a_refusal_is_noted_and_tried_again_later(notified_site: ConnectedSite) -> None:
    site = notified_site
    site.onedrive.set_fault("status", status=403, code="accessDenied", path="/subscriptions")
    keep_subscriptions(site)
    row = get_subscription(site)
    assert row.subscription_id == "" and "may change files" in row.problem
    assert row.next_at > now_utc() + timedelta(minutes=1)
    site.onedrive.clear_faults()
    keep_subscriptions(site)
    assert get_subscription(site).subscription_id == "", "it is not tried again at once"
    with site.session() as session:
        session.execute(update(DriveAccount).values(connected_at=now_utc()))
    keep_subscriptions(site)
    assert get_subscription(site).subscription_id, "the owner may have allowed more"


def test_an_address_that_does_not_answer_is_noted(notified_site: ConnectedSite) -> None:
    site = notified_site.restart(public_url="http://127.0.0.1:9")
    keep_subscriptions(site)
    assert "public address" in get_subscription(site).problem


def test_another_public_address_gets_another_subscription(notified_site: ConnectedSite) -> None:
    site = notified_site
    change_path = get_settings(site.app).public_url
    keep_subscriptions(site)
    change(site, base_url=f"{change_path}/elsewhere")
    keep_subscriptions(site)
    assert get_subscription(site).base_url == change_path
    assert len(site.onedrive.log("DELETE", "/subscriptions/")) == 1
    assert len(site.onedrive.log("POST", "/subscriptions$")) == 2


def test_switching_them_off_ends_the_subscription(notified_site: ConnectedSite) -> None:
    keep_subscriptions(notified_site)
    site = notified_site.restart(drive_notifications="off")
    keep_subscriptions(site)
    assert find_subscription(site) is None
    assert [one["status"] for one in site.onedrive.log("DELETE", "/subscriptions/")] == [204]


def test_disconnecting_ends_the_subscription(notified_site: ConnectedSite) -> None:
    site = notified_site
    keep_subscriptions(site)
    client = site.signed_in_client()
    token = client.get("/admin/connection").text.split('name="csrf_token" value="', 1)[1]
    client.post("/admin/connection/disconnect", data={"csrf_token": token.split('"', 1)[0]})
    assert find_subscription(site) is None
    assert [one["status"] for one in site.onedrive.log("DELETE", "/subscriptions/")] == [204]
    keep_subscriptions(site)
    assert find_subscription(site) is None, "a disconnected account has none"
    with site.session() as session:
        account = accounts.find_active_account(session)
        assert account is not None and account.state == accounts.DISCONNECTED


@pytest.mark.parametrize(
    ("public_url", "is_on", "expected"),
    [
        ("https://hub.example.org/art", True, "https://hub.example.org/art"),
        ("https://hub.example.org", False, ""),
        ("http://hub.example.org", True, ""),
        ("http://127.0.0.1:8000", True, "http://127.0.0.1:8000"),
        ("http://[::1]:8000", True, "http://[::1]:8000"),
        ("", True, ""),
    ],
)
def test_only_an_https_address_is_given_to_the_service(
    site_settings: Settings, public_url: str, is_on: bool, expected: str
) -> None:
    settings = replace(site_settings, public_url=public_url, drive_notifications=is_on)
    assert notifications.find_base_url(settings) == expected


@pytest.fixture
def site_settings(site: Any) -> Settings:
    return get_settings(site.app)


# --- The address ----------------------------------------------------------------------------------


def test_the_handshake_is_answered_only_while_it_is_expected(
    either_notified_site: ConnectedSite,
) -> None:
    site = either_notified_site
    keep_subscriptions(site)
    path = f"{notifications.PATH}{get_subscription(site).key}"
    token = "Validation: <b>1</b> & ü"
    answer = site.post(path, query_string={"validationToken": token})
    assert (answer.status_code, answer.mimetype, answer.text) == (200, "text/plain", token)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert site.post(path, query_string={"validationToken": "x" * 1001}).status_code == 400
    wrong = f"{notifications.PATH}another-key"
    assert site.post(wrong, query_string={"validationToken": token}).status_code == 404
    assert site.get(path, query_string={"validationToken": token}).status_code == 405
    change(site, tried_at=now_utc() - timedelta(minutes=6))
    assert site.post(path, query_string={"validationToken": token}).status_code == 404


def test_only_a_notification_with_the_secret_is_believed(notified_site: ConnectedSite) -> None:
    site = notified_site
    add_image(site)
    keep_subscriptions(site)
    row = get_subscription(site)
    secret = "the secret of a test"
    change(site, notified_at=None, secret_hash=notifications._make_hash(secret))
    for given in ({}, {"clientState": ""}, {"clientState": "wrong"}, {"clientState": "ü"}):
        assert post(site, row.key, subscriptionId=row.subscription_id, **given) == 403
    assert post(site, "another-key", clientState=secret) == 404
    assert list_due(site) == []
    assert post(site, row.key, clientState=secret, resource="../../anything") == 202
    assert list_due(site) == [get_account_id(site)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"not JSON", 422),
        (b"[]", 422),
        (b'{"value": {}}', 422),
        (b'{"value": []}', 403),
        (b'{"value": [{"clientState": 1}]}', 422),
        (b'{"value": [{"clientState": "' + b"x" * 129 + b'"}]}', 422),
        (b'{"value": [' + b",".join([b"{}"] * 501) + b"]}", 422),
        (b"[" * 60_000, 400),
        (b" " * 70_000, 413),
    ],
)
def test_other_bodies_are_refused(notified_site: ConnectedSite, body: bytes, status: int) -> None:
    site = notified_site
    keep_subscriptions(site)
    path = f"{notifications.PATH}{get_subscription(site).key}"
    answer = site.post(path, data=body, content_type="application/json")
    assert answer.status_code == status, answer.text


# --- What follows ---------------------------------------------------------------------------------


def test_many_notifications_lead_to_one_check_after_a_while(
    either_notified_site: ConnectedSite,
) -> None:
    site = either_notified_site
    add_image(site)
    keep_subscriptions(site)
    assert list_due(site) == [get_account_id(site)], "it may have changed before"
    check(site)
    assert list_due(site) == []
    for _ in range(5):
        change(site, notified_at=now_utc())
    assert list_due(site) == [], "the last check began a moment ago"
    with site.session() as session:
        session.execute(update(DriveWatch).values(tried_at=now_utc() - timedelta(seconds=6)))
    assert list_due(site) == [get_account_id(site)]
    check(site)
    assert list_due(site) == []


def test_a_notification_does_not_shorten_the_wait_after_a_failure(
    notified_site: ConnectedSite,
) -> None:
    site = notified_site
    add_image(site)
    keep_subscriptions(site)
    with site.session() as session:
        schedule.ensure_watch(session, get_account_id(site))
        session.flush()
        session.execute(update(DriveWatch).values(next_at=now_utc() + timedelta(minutes=4)))
    change(site, notified_at=now_utc())
    assert list_due(site) == []


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
def test_lifecycle_notifications_are_followed(
    either_notified_site: ConnectedSite, event: str
) -> None:
    site = either_notified_site
    add_image(site)
    keep_subscriptions(site)
    check(site)
    before = get_subscription(site)
    assert site.onedrive.send_lifecycle(event) == [202]
    keep_subscriptions(site)
    after = get_subscription(site)
    assert after.subscription_id
    is_same = after.subscription_id == before.subscription_id
    assert is_same == (event != "subscriptionRemoved")
    renewals = len(site.onedrive.log("PATCH", "/subscriptions/"))
    assert renewals == (1 if event == "reauthorizationRequired" else 0)
    with site.session() as session:
        session.execute(update(DriveWatch).values(tried_at=now_utc() - timedelta(seconds=6)))
    assert list_due(site) == [get_account_id(site)], "changes may have been missed"


def test_a_worker_learns_of_a_change_by_notification(notified_site: ConnectedSite) -> None:
    """Checks from time to time are off, so nothing else can tell it."""
    site = notified_site
    site.put_files("Works", {"a.jpg": make_jpeg(1)})
    folder_id, files = site.find_folder("Works")
    with site.working():
        with site.session() as session:
            user_id = session.query(User.id).scalar()
            selection = Selection(folder_id, "Works", None, [(files["a.jpg"], "a.jpg")])
            create_import(session, get_account_id(site), user_id, [selection])

        def get_states() -> list[str]:
            with site.session() as session:
                return [state for (state,) in session.query(Image.drive_state)]

        def is_checked() -> bool:
            with site.session() as session:
                watch = session.query(DriveWatch).one_or_none()
                return watch is not None and watch.checked_at is not None

        wait_until(lambda: get_states() == ["ok"] and is_checked())
        (site.onedrive.root / "Works" / "a.jpg").write_bytes(make_jpeg(2))
        wait_until(lambda: get_states() == ["changed"])
        with site.session() as session:
            assert session.query(Image).one().group.state == "published", "it stays online"
