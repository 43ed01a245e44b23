"""Manifests and collections for other viewers: valid, complete, and only of what is published."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import jsonschema_rs
import pytest

from imagehub.domain.library import groups
from imagehub.domain.library.tags import set_tags
from imagehub.domain.sharing import links
from imagehub.gallery import iiif
from imagehub.models import Group, Series
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site
from tests.gallery.iiif_schema import SCHEMA
from tests.gallery.test_series import add_series, add_work
from tests.gallery.test_tiles import SIZE, add_large, tiled  # noqa: F401 - a fixture

ELSEWHERE = {"Origin": "https://elsewhere.example"}
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)


def read(site: Site, path: str) -> dict[str, Any]:
    """Read a manifest or collection as a viewer elsewhere does, and check it."""
    answer = site.get(path, headers=ELSEWHERE)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.content_type == f'application/ld+json;profile="{iiif.CONTEXT}"'
    data: dict[str, Any] = answer.get_json(force=True)
    faults = [f"{one.instance_path}: {one.message}" for one in VALIDATOR.iter_errors(data)]
    assert not faults, faults
    ids = list(list_own_ids(data))
    assert len(ids) == len(set(ids))
    assert data["id"] == f"http://localhost{path}", "the id is the address"
    return data


def list_own_ids(data: Any) -> Iterator[str]:
    """List the ids of the resources that are described here, not only named."""
    if data["type"] in ("Manifest", "Collection", "Canvas", "AnnotationPage", "Annotation"):
        yield data["id"]
    for item in data.get("items", ()):
        yield from list_own_ids(item)


def change(site: Site, number: int, **facts: Any) -> None:
    with site.session() as session:
        group = session.get_one(Group, number)
        for name, value in facts.items():
            setattr(group, name, value)
        groups.refresh_group(session, number)


def test_a_work_has_a_manifest_with_a_canvas_for_each_shot(site: Site) -> None:
    number = site.add_group(("front.jpg", "back.jpg"))
    facts = {"title": "Harbour", "year": "1911", "medium": "Oil", "dimensions": "80 × 60 cm"}
    change(site, number, **facts, edition="", text="*Low* water.\n\nEarly.")
    with site.session() as session:
        set_tags(session, session.get_one(Group, number), ["Sea", "Ships"])
        for image in session.get_one(Group, number).images[1:]:
            image.role = "back"
    series = add_series(site, "Coast", number)
    add_series(site, "Hidden", number, state="draft")
    data = read(site, f"/iiif/groups/{number}/manifest.json")
    assert data["label"] == {"none": ["Harbour"]}
    assert data["summary"]["none"][0].split() == ["Low", "water.", "Early."]
    assert [(one["label"]["en"], one["value"]["none"]) for one in data["metadata"]] == [
        (["Year"], ["1911"]),
        (["Medium"], ["Oil"]),
        (["Dimensions"], ["80 × 60 cm"]),
        (["Tags"], ["Sea", "Ships"]),
    ]
    assert data["metadata"][0]["label"]["de"] == ["Jahr"]
    assert data["homepage"][0]["id"] == f"http://localhost/groups/{number}/harbour"
    assert data["requiredStatement"]["value"] == {"none": ["ImageHub"]}
    assert [one["id"] for one in data["partOf"]] == [
        f"http://localhost/iiif/series/{series}/collection.json"
    ]
    front, back = data["items"]
    assert front["id"] == f"http://localhost/iiif/groups/{number}/canvas/1"
    assert front["label"] == {"en": ["Shot 1"], "de": ["Aufnahme 1"]}
    assert back["label"]["de"] == ["Rückseite des Werks"]
    body = front["items"][0]["items"][0]["body"]
    assert front["items"][0]["items"][0]["target"] == front["id"]
    assert (body["width"], body["height"]) == (1920, 1280) and "service" not in body
    for picture in (body, front["thumbnail"][0], data["thumbnail"][0]):
        path = picture["id"].removeprefix("http://localhost")
        moved = site.get(path, headers=ELSEWHERE)
        assert moved.status_code == 302 and "/renditions/" in moved.headers["Location"]
        assert moved.headers["Access-Control-Allow-Origin"] == "*"
    page = site.get(f"/groups/{number}/harbour").text
    assert page.count(f'href="{data["id"]}"') == 2, "a link, and one for programs"


def test_a_work_without_title_is_named_in_all_languages(site: Site) -> None:
    number = site.add_group()
    data = read(site, f"/iiif/groups/{number}/manifest.json")
    assert data["label"] == {"en": ["Untitled"], "de": ["Ohne Titel"]}
    assert data["metadata"] == [] and "summary" not in data


def test_a_manifest_says_whom_to_name_and_under_what_terms(site: Site) -> None:
    number = site.add_group()
    change(
        site,
        number,
        creator="Ida",
        license_url="https://creativecommons.org/licenses/by/4.0/deed.de",
    )
    path = f"/iiif/groups/{number}/manifest.json"
    data = read(site, path)
    assert data["rights"] == "http://creativecommons.org/licenses/by/4.0/"
    assert data["requiredStatement"]["value"] == {"none": ["Ida"]}
    assert [one["label"]["de"] for one in data["metadata"]] == [["Künstler/in"]]
    change(site, number, copyright_notice="© Ida", license_url="https://ida.example/terms")
    data = read(site, path)
    assert "rights" not in data and data["requiredStatement"]["value"] == {"none": ["© Ida"]}
    assert data["metadata"][-1]["value"] == {"none": ["https://ida.example/terms"]}
    known = "https://rightsstatements.org/page/InC/1.0/?language=en"
    assert iiif.find_rights(known) == "http://rightsstatements.org/vocab/InC/1.0/"


def test_large_works_name_their_tiles(tiled: Site) -> None:  # noqa: F811
    number, image_id = add_large(tiled)
    path = f"/iiif/groups/{number}/manifest.json"
    (canvas,) = read(tiled, path)["items"]
    assert (canvas["width"], canvas["height"]) == SIZE
    (service,) = canvas["items"][0]["items"][0]["body"]["service"]
    assert service["id"] == f"http://localhost/iiif/{image_id}"
    info = tiled.get(f"/iiif/{image_id}/info.json").get_json()
    assert (info["id"], info["type"], info["profile"]) == tuple(service.values())
    change(tiled, number, tiles="off")
    (again,) = read(tiled, path)["items"]
    assert "service" not in again["items"][0]["items"][0]["body"]
    assert (again["id"], again["width"]) == (canvas["id"], canvas["width"])


@pytest.mark.parametrize("state", ["draft", "trash"])
def test_only_published_works_have_a_manifest(site: Site, state: str) -> None:
    number = site.add_group(state="draft")
    with site.session() as session:
        _, token = links.create_share(session, None, [number])
        session.get_one(Group, number).state = state
        groups.refresh_group(session, number)
    path = f"/iiif/groups/{number}/manifest.json"
    assert site.get(path).status_code == 404
    assert site.signed_in_client().get(path).status_code == 404, "not even for admins"
    answer = site.get(f"/media/{number}/1/480", headers=ELSEWHERE)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "/iiif/" not in site.get(f"/s/{token}").text
    for unknown in (number + 1, 0, 2**80):
        assert site.get(f"/iiif/groups/{unknown}/manifest.json").status_code == 404


def test_a_series_is_a_collection_of_its_works_and_parts(site: Site) -> None:
    works = [add_work(site, f"Work {number}") for number in range(3)]
    whole = add_series(site, "Paper", works[2], works[0], dates="2019", text="One room.")
    part = add_series(site, "Prints", works[1], parent_id=whole)
    untitled = add_series(site, "Untitled", works[1], parent_id=whole)
    with site.session() as session:
        session.get_one(Series, untitled).title = ""
        session.get_one(Series, part).first_day = date(2026, 3, 12)
    add_series(site, "Hidden", works[1], parent_id=whole, state="draft")
    data = read(site, f"/iiif/series/{whole}/collection.json")
    assert data["label"] == {"none": ["Paper"]} and data["summary"] == {"none": ["One room."]}
    assert [one["label"]["de"] for one in data["metadata"]] == [["Zeitraum"]]
    base = "http://localhost/iiif"
    assert [(one["type"], one["id"]) for one in data["items"]] == [
        ("Collection", f"{base}/series/{part}/collection.json"),
        ("Collection", f"{base}/series/{untitled}/collection.json"),
        ("Manifest", f"{base}/groups/{works[2]}/manifest.json"),
        ("Manifest", f"{base}/groups/{works[0]}/manifest.json"),
    ]
    assert data["items"][1]["label"]["en"] == [f"Untitled series {untitled}"]
    assert all(one["thumbnail"] for one in data["items"])
    inner = read(site, f"/iiif/series/{part}/collection.json")
    assert [one["value"] for one in inner["metadata"]] == [
        {"en": ["From 12 March 2026"], "de": ["Ab 12. März 2026"]}
    ]
    assert inner["partOf"] == [{"id": data["id"], "type": "Collection", "label": data["label"]}]
    assert f'href="{data["id"]}"' in site.get(f"/series/{whole}/paper").text
    with site.session() as session:
        session.get_one(Series, whole).state = "draft"
    for number in (whole, part, 99):
        assert site.get(f"/iiif/series/{number}/collection.json").status_code == 404
        assert site.get(f"/iiif/series/{number}/collection/1.json").status_code == 404


def test_a_long_series_is_a_collection_of_collections(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iiif, "WORKS_PER_COLLECTION", 2)
    works = [add_work(site, f"Work {number}") for number in range(5)]
    number = add_series(site, "Long", *works)
    data = read(site, f"/iiif/series/{number}/collection.json")
    assert [one["label"]["en"] for one in data["items"]] == [
        ["Works 1–2"], ["Works 3–4"], ["Work 5"]
    ]  # fmt: skip
    found = []
    for item in data["items"]:
        assert item["type"] == "Collection"
        stretch = read(site, item["id"].removeprefix("http://localhost"))
        assert stretch["partOf"][0]["id"] == data["id"]
        found += [one["label"]["none"][0] for one in stretch["items"]]
    assert found == [f"Work {number}" for number in range(5)]
    assert site.get(f"/iiif/series/{number}/collection/4.json").status_code == 404


def test_more_works_and_shots_take_no_more_statements(site: Site) -> None:
    counts = []
    for size in (1, 12):
        number = site.add_group([f"{shot}.jpg" for shot in range(size)])
        series = add_series(site, "Sea", *(add_work(site, "Work") for _ in range(size)))
        for path in (
            f"/iiif/groups/{number}/manifest.json",
            f"/iiif/series/{series}/collection.json",
        ):
            with count_statements() as statements:
                read(site, path)
            counts.append(len(statements))
    assert counts[:2] == counts[2:]
    assert max(counts) <= 11
