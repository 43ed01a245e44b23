"""The typefaces that pages are set in."""

import json
import re

import pytest

from imagehub.config import list_fields
from imagehub.domain.site.look import save_look
from imagehub.wiring import get_given_settings, refresh_settings
from tests.fixtures.site import Site
from tests.support import ROOT

STATIC = ROOT / "imagehub" / "static"
NAMES = ("fraunces", "eb-garamond", "source-sans-3", "hanken-grotesk")


def use_typefaces(site: Site, name: str) -> None:
    with site.session() as session:
        save_look(session, get_given_settings(site.app), {"typefaces": name})
    with site.app.app_context():
        refresh_settings(older_than_seconds=0)


def test_each_choice_has_its_files() -> None:
    (setting,) = (item for item in list_fields() if item.name == "typefaces")
    assert {path.stem for path in (STATIC / "css").glob("type-*.css")} == {
        f"type-{name}" for name in NAMES
    }
    for name in NAMES:
        assert setting.metadata["read"](name) == name
        css = (STATIC / "css" / f"type-{name}.css").read_text()
        for file in re.findall(r'url\("\.\./vendor/([^"]+)"\)', css):
            assert (STATIC / "vendor" / file).is_file()
        assert "SIL OPEN FONT LICENSE" in (STATIC / "vendor" / f"{name}.LICENSE.txt").read_text()
        # While they are on their way, a font of the device takes the same room.
        assert css.count("font-display: swap") == 2 and css.count("ascent-override") == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_page_loads_only_the_chosen_ones(site: Site, name: str) -> None:
    number = site.add_group()
    use_typefaces(site, name)
    client = site.signed_in_client()
    for answer in (
        site.get("/"),
        site.get(f"/groups/{number}"),
        site.get("/nothing-here"),
        client.get("/admin/"),
    ):
        page = answer.text
        assert re.findall(r"css/type-([a-z0-9-]+)\.css", page) == [name]
        assert re.findall(r'rel="preload" href="[^"]*/vendor/([^"]+)"', page) == [
            f"{name}-latin.woff2"
        ]
        assert f'data-type="{name}"' in page
    worker = site.get("/service-worker.js").text
    version = json.loads(re.search(r"self\.version = (\{.*?\});", worker, re.DOTALL)[1])  # type: ignore[index]
    fonts = [path.rsplit("/", 1)[1] for path in version["files"] if path.endswith("woff2")]
    assert fonts == [f"{name}-latin.woff2"]
