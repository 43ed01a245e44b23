"""Bodies that are made to cost much are refused before they do."""

import pytest
from sqlalchemy import select

from imagehub.models import AuditEntry, Group, Image
from tests.fixtures.site import Site, read_csrf_token

FORM = "application/x-www-form-urlencoded"
PUBLIC_FORMS = ("/sign-in", "/sign-in/code", "/sign-out", "/s/no-such-share", "/login/")


@pytest.mark.parametrize("path", PUBLIC_FORMS)
@pytest.mark.parametrize(
    "body", [b"a&" * 2_000_000, b"a&" * 1000, b"name=" + b"x" * 70_000], ids=["4MB", "1001", "70kB"]
)
def test_a_form_for_everybody_is_small(site: Site, path: str, body: bytes) -> None:
    assert site.post(path, data=body, content_type=FORM).status_code == 413


def test_forms_of_a_usual_size_are_read(site: Site) -> None:
    client = site.client()
    fields = {f"field{number}": "x" for number in range(900)}
    form = {"csrf_token": read_csrf_token(client), "name": "ada", "password": "y" * 40_000}
    assert client.post("/sign-in", data=form | fields).status_code == 401


def test_a_form_in_parts_is_small_too(site: Site) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
    answer = site.post(
        "/sign-in", data=part * 1001 + b"--x--\r\n", content_type="multipart/form-data; boundary=x"
    )
    assert answer.status_code == 413


def test_json_for_everybody_is_small(site: Site) -> None:
    answer = site.post("/login/", json={"username": "a", "password": "b", "more": "c" * 70_000})
    assert answer.status_code == 413
    assert answer.json == {"detail": "That is more than this address takes."}


def test_forms_of_the_admin_pages_may_be_larger(site: Site) -> None:
    client = site.signed_in_client()
    form = {"csrf_token": read_csrf_token(client, "/admin/account"), "language": "en"}
    for count, status in ((19_000, 302), (20_000, 413)):
        fields = {f"field{number}": "x" * 20 for number in range(count)}
        assert client.post("/admin/account/language", data=form | fields).status_code == status


# --- Deep JSON ------------------------------------------------------------------------------------

BRACKETS = 200_000
DEEP = {
    "lists": "[" * BRACKETS + "]" * BRACKETS,
    "open": "[" * BRACKETS,
    "objects": '{"image_list":' * BRACKETS + "1" + "}" * BRACKETS,
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("path", ["/admin/delete/image", "/admin/add/image", "/admin/auth/code"])
def test_deep_json_is_refused_by_the_api(site: Site, path: str, body: str) -> None:
    answer = site.post(path, data=body, content_type="application/json", headers=site.bearer())
    assert answer.status_code == 400
    assert answer.json == {"detail": "This JSON is nested too deeply."}


def test_deep_json_at_the_sign_in_is_refused(site: Site) -> None:
    body = "[" * 30_000
    answer = site.post("/login/", data=body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/admin/drive/upload/paths", "/admin/drive/upload/begin"])
def test_deep_json_is_refused_by_the_pages(site: Site, path: str) -> None:
    client = site.signed_in_client()
    token = read_csrf_token(client, "/admin/account")
    answer = client.post(
        path, data=DEEP["lists"], content_type="application/json",
        headers={"X-CSRFToken": token, "Accept": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 400


# --- Deletion of many -----------------------------------------------------------------------------


def test_more_groups_than_the_bound_are_refused(site: Site) -> None:
    chosen = {str(number): [{"image_id": 1}] for number in range(1, 60_001)}
    answer = site.post("/admin/delete/image", json={"image_list": chosen}, headers=site.bearer())
    assert answer.status_code == 422
    assert [fault["type"] for fault in answer.json["detail"]] == ["too_long"]
    doomed = [{"image_id": number} for number in range(6_000)]
    answer = site.post(
        "/admin/delete/image", json={"image_list": {"1": doomed, "2": doomed}},
        headers=site.bearer(),
    )  # fmt: skip
    assert answer.status_code == 422
    assert answer.json["detail"][0]["msg"] == "At most 10,000 images can be deleted"


def test_many_groups_are_deleted_in_steps(site: Site) -> None:
    kept = site.add_group()
    groups = [site.add_group() for _ in range(205)]
    chosen = {str(number): [{"image_id": 1}, {"image_id": 99}] for number in groups}
    chosen |= {str(number): [{"image_id": 1}] for number in range(10_000, 19_000)}
    answer = site.post("/admin/delete/image", json={"image_list": chosen}, headers=site.bearer())
    assert answer.json == {"code": 1, "hint": "image_deleted_from_database"}
    with site.session() as session:
        assert session.scalars(select(Image.group_id)).all() == [kept]
        assert not session.query(Group).filter(Group.is_shown, Group.id != kept).count()
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "delete_images").order_by(AuditEntry.id)
        )
        assert [entry.count for entry in entries] == [200, 5]
