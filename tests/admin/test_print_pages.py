"""The admin pages of print files."""

import pytest
from sqlalchemy import select

from imagehub.domain.library import series_edit
from imagehub.domain.prints import files, letters
from imagehub.models import Group, PrintFile
from imagehub.wiring import get_clients
from tests.admin.pages import send
from tests.fixtures.site import ConnectedSite, Site


@pytest.fixture
def works(site: Site) -> list[int]:
    return [site.add_group() for _ in range(3)]


def test_selected_groups_lead_to_a_form_and_to_a_waiting_file(site: Site, works: list[int]) -> None:
    client = site.signed_in_client()
    assert "No print files yet" in client.get("/admin/print").text
    answer = send(client, "/admin/library/print", group=works[:2])
    form = client.get(answer.location).text
    assert form.count('name="group"') == 2
    refused = send(client, "/admin/print", group=works[:2], title=" ", language="de", prices="1")
    assert refused.status_code == 422
    assert "Enter a title." in refused.text
    assert 'value="de" selected' in refused.text
    answer = send(client, "/admin/print", group=works[:2], title="Autumn", kind="prices",
                  language="de")  # fmt: skip
    assert (answer.status_code, answer.location) == (303, "/admin/print")
    page = client.get("/admin/print").text
    for words in ("Autumn", "Price list · 2 works", "Waiting"):
        assert words in page
    assert client.get("/admin/print/running").json == {
        "prints": [{"id": 1, "done": 0, "words": "Waiting"}]
    }
    assert client.get("/admin/print/1/file").status_code == 409
    send(client, "/admin/print/1/cancel")
    page = client.get("/admin/print").text
    assert "“Autumn” was cancelled." in page
    send(client, "/admin/print/1/delete")
    with site.session() as session:
        assert session.scalars(select(PrintFile)).all() == []
    log = client.get("/admin/activity").text
    assert "Deleted the print file “Autumn”." in log


def test_the_form_names_works_whose_texts_no_font_can_print(
    site: Site, works: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "_WAIT_SECONDS", 120.0)  # the machine may be busy
    with site.session() as session:
        session.get_one(Group, works[0]).title = "Sea \U0003fffc"
        session.get_one(Group, works[1]).title = "Élan Ősz"
    form = site.signed_in_client().get(f"/admin/print/new?group={works[0]}&group={works[1]}").text
    warning = form.split("data-unprintable", 1)[1].split("</ul>")[0]
    assert f'<a href="/admin/library/{works[0]}" dir="auto">Sea \U0003fffc</a>' in warning
    assert f"/admin/library/{works[1]}" not in warning
    form = site.signed_in_client().get(f"/admin/print/new?group={works[1]}").text
    assert "data-unprintable" not in form


def test_a_series_names_its_file(site: Site, works: list[int]) -> None:
    with site.session() as session:
        number = series_edit.create_series(session, "Coast", works).id
    client = site.signed_in_client()
    assert f'href="/admin/print/new?series={number}"' in client.get(f"/admin/series/{number}").text
    assert 'value="Coast"' in client.get(f"/admin/print/new?series={number}").text
    send(client, "/admin/print", series=number, title="Coast", language="en")
    with site.session() as session:
        row = session.scalars(select(PrintFile)).one()
        assert (row.series_id, row.work_count) == (number, 3)


def test_a_file_is_sent_in_parts_under_a_name_that_any_system_can_save(
    connected_site: ConnectedSite,
) -> None:
    site = connected_site
    work = site.add_group()
    client = site.signed_in_client()
    send(client, "/admin/print", group=work, title="Ebb / Flow", language="en")
    with site.session() as session:
        row = session.scalars(select(PrintFile)).one()
        row.state, row.object_key, row.part_count, row.size_bytes = "ready", "prints/1/", 2, 8
        for place, part in enumerate((b"%PDF", b"-1.7")):
            name = files.name_part(row.object_key, place)
            get_clients(site.app).store.put_object(name, part, "application/octet-stream")
    answer = client.get("/admin/print/1/file")
    assert (answer.data, answer.headers["Content-Length"]) == (b"%PDF-1.7", "8")
    assert answer.headers["Content-Disposition"].endswith(
        "filename*=UTF-8''Ebb%20_%20Flow%20%E2%80%93%20Catalogue.pdf"
    )
    # Proxies neither keep it nor put it on their disk.
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"


def test_there_is_a_limit_of_works_and_files(
    site: Site, works: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_WORKS", 2)
    monkeypatch.setattr(files, "MAX_FILES", 1)
    client = site.signed_in_client()
    form = {"title": "Autumn", "language": "en"}
    refused = send(client, "/admin/print", group=works, **form)
    assert (refused.status_code, "at most 2 works" in refused.text) == (422, True)
    assert send(client, "/admin/print", group=works[:1], **form).status_code == 303
    refused = send(client, "/admin/print", group=works[:1], **form)
    assert "Delete some first." in refused.text
    assert send(client, "/admin/print", title="Autumn", language="en").status_code == 422


def test_print_files_are_for_admins_only(site: Site) -> None:
    for path in ("/admin/print", "/admin/print/new", "/admin/print/1/file"):
        assert site.get(path).location.startswith("/sign-in")
