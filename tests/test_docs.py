"""The README keeps its word: every setting and command is in it, and the tables are true."""

import re

import click
import pytest

from imagehub.cli import main
from imagehub.config import SETTING_NAMES, load_settings
from tests.support import ROOT

README = (ROOT / "README.md").read_text()


def make_settings_table() -> str:
    """The rows that belong into the README, from the one table of settings."""
    rows = []
    for row in load_settings({"IMAGEHUB_DATA_DIR": "/tmp/unused-by-docs"}, None).describe():
        default = f"`{row['default']}`" if row["default"] else ""
        unit = f" ({row['unit']})" if row["unit"] else ""
        meaning = row["meaning"].replace("|", "\\|")
        rows.append(f"| `{row['name']}` | {default} | {meaning}{unit} |")
    return "\n".join(rows)


def test_the_readme_has_the_table_of_settings_as_it_is() -> None:
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


def test_each_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.M))
    assert {"demo", "test", "serve", "worker", "install", "bench", "check", "help"} <= targets
    for name in re.findall(r"`?make ([a-z-]+)", README):
        if name in ("small",):
            continue
        assert name in targets, f"the README speaks of `make {name}`"


def test_each_dependency_has_its_reason() -> None:
    setup = (ROOT / "setup.cfg").read_text()
    wanted = setup.split("install_requires =")[1].split("\n[")[0].split()
    names = {re.split(r"[><=~!]", entry)[0].lower() for entry in wanted}
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


if __name__ == "__main__":
    print(make_settings_table())
