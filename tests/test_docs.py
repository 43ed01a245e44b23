"""The documentation is complete and true: settings, commands, links, paths, make targets."""

import configparser
import re
from pathlib import Path

import click
import pytest

from imagehub.cli import main
from imagehub.config import FILE_NAMES, SETTING_NAMES, load_settings
from tests.support import ROOT

README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")])
# Folders whose files the documentation names by their path from the root.
TOP_FOLDERS = ("imagehub", "tests", "tools", "docs", "migrations", "benchmarks", ".github", ".ci")


def name_page(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def make_settings_table() -> str:
    """Make the rows of the README's table of settings."""
    rows = []
    for row in load_settings({"IMAGEHUB_DATA_DIR": "/tmp/unused-by-docs"}, None).describe():
        default = f"`{row['default']}`" if row["default"] else ""
        unit = f" ({row['unit']})" if row["unit"] else ""
        meaning = row["meaning"].replace("|", "\\|")
        rows.append(f"| `{row['name']}` | {default} | {meaning}{unit} |")
    return "\n".join(rows)


def make_anchors(page: Path) -> set[str]:
    """Make the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def list_make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z0-9-]+):.*##", makefile, re.M))


# --- The README -----------------------------------------------------------------------------------


def test_the_readme_has_the_current_table_of_settings() -> None:
    assert make_settings_table() in README, (
        "write the output of `python -m tests.test_docs` into the README's Settings"
    )


@pytest.mark.parametrize("name", SETTING_NAMES)
def test_each_setting_is_explained(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", sorted(main.commands))
def test_each_command_is_explained(name: str) -> None:
    assert f"`imagehub {name}" in README


@pytest.mark.parametrize("command", main.commands.values(), ids=lambda command: command.name)
def test_each_command_says_what_it_does(command: click.Command) -> None:
    assert command.help
    assert len(command.help) > 15


def test_each_dependency_has_its_reason() -> None:
    setup = (ROOT / "setup.cfg").read_text()
    wanted = re.findall(r"^    ([a-z0-9._-]+)(?:\[[a-z0-9]+\])?(?:[><=~!].*)?$", setup, re.M | re.I)
    names = {name.lower() for name in wanted if not re.search(r"^types-|-stubs$", name)}
    table = README.split("## Dependencies")[1].lower()
    missing = {name for name in names if name not in table}
    assert not missing


def test_each_dependency_is_locked() -> None:
    setup = (ROOT / "setup.cfg").read_text()
    wanted = re.findall(r"^    ([a-z0-9._-]+)(?:\[[a-z0-9]+\])?>=", setup, re.M)
    locked = {
        re.split(r"[=@ ]", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    optional = {"sigal", "pyvips", "pyvips-binary"}
    assert {name.replace("_", "-") for name in wanted} - optional <= locked


# --- Every page -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_relative_links_and_images_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{name_page(page)} links to {target}"
        if anchor:
            assert anchor in make_anchors(linked), f"{name_page(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_named_files_exist(page: Path) -> None:
    for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", page.read_text()):
        if name.split("/")[0] in TOP_FOLDERS and "/" in name:
            assert (ROOT / name).exists(), f"{name_page(page)} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_named_make_targets_exist(page: Path) -> None:
    for name in re.findall(r"^make ([a-z0-9-]+)|`make ([a-z0-9-]+)", page.read_text(), re.M):
        target = name[0] or name[1]
        assert target in list_make_targets(), f"{name_page(page)} names `make {target}`"


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_named_commands_exist(page: Path) -> None:
    for name in re.findall(r"`(?:\.venv/bin/)?imagehub ([a-z0-9-]+)", page.read_text()):
        known = name in main.commands or name in ("--version", "--help")
        assert known, f"{name_page(page)} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_named_settings_exist(page: Path) -> None:
    used_elsewhere = {"IMAGEHUB_LEGACY_URL", "IMAGEHUB_DEMO_PASSWORD"}
    for name in re.findall(r"\bIMAGEHUB_[A-Z0-9_]+[A-Z0-9]", page.read_text()):
        if not name.startswith("IMAGEHUB_TEST_") and name not in used_elsewhere:
            assert name in {*SETTING_NAMES, *FILE_NAMES}, f"{name_page(page)} names {name}"


def test_the_readme_leads_to_every_page() -> None:
    for page in ROOT.glob("docs/**/*.md"):
        assert f"]({name_page(page)})" in README


def test_the_drawing_shows_every_layer() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    drawing = (ROOT / "docs" / "architecture.svg").read_text()
    shown = set(re.findall(r"\w+", " ".join(re.findall(r">([^<]+)</text>", drawing))))
    layers = re.findall(r"\w+", contracts["importlinter:contract:layers"]["layers"])
    packages = {path.parent.name for path in ROOT.glob("imagehub/domain/*/__init__.py")}
    assert set(layers) - {"__main__"} <= shown
    assert packages <= shown


if __name__ == "__main__":
    print(make_settings_table())
