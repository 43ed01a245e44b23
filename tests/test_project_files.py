"""Workflows, hooks, issue templates and editor settings are valid and agree with the code."""

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT
from tests.test_docs import list_make_targets

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
YAML_FILES = [
    *sorted((ROOT / ".github").rglob("*.y*ml")),
    ROOT / ".pre-commit-config.yaml",
    ROOT / "compose.yaml",
]


def name_file(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def list_commands(workflow: Path) -> list[str]:
    jobs: dict[str, Any] = yaml.safe_load(workflow.read_text())["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", YAML_FILES, ids=name_file)
def test_yaml_files_can_be_read(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_workflows_run_programs_that_exist() -> None:
    commands = [command for workflow in WORKFLOWS for command in list_commands(workflow)]
    assert "make test-fast" in commands
    assert ".ci/run" in commands
    for command in commands:
        program, *arguments = command.split()
        if program == "make":
            assert set(arguments) <= list_make_targets()
        elif "/" in program:
            assert (ROOT / program).stat().st_mode & 0o111, program


def test_workflows_set_only_variables_that_the_tests_read() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests" / "fixtures").glob("*.py"))
    for workflow in WORKFLOWS:
        for name in re.findall(r"\b(IMAGEHUB_\w+):", workflow.read_text()):
            assert f'"{name}"' in sources, name


def test_workflows_cover_each_python_and_database() -> None:
    text = (ROOT / ".github" / "workflows" / "tests.yaml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    for name in ("fast", "full"):
        assert jobs[name]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert jobs["full"]["strategy"]["matrix"]["database"] == ["mysql", "mariadb"]
    assert "python_requires = >=3.11\n" in (ROOT / "setup.cfg").read_text()


def test_the_workflows_and_compose_use_the_same_storage_server() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yaml").read_text())["jobs"]
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert jobs["full"]["services"]["storage"]["image"] == services["storage"]["image"]


def test_hooks_use_the_tools_of_the_virtual_environment() -> None:
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    setup = (ROOT / "setup.cfg").read_text()
    for repo in repos:
        assert repo["repo"] == "local", "hooks of other repositories would have to be fetched"
        for hook in repo["hooks"]:
            program = hook["entry"].split()[0]
            assert program.startswith(".venv/bin/")
            assert f"\n    {program.removeprefix('.venv/bin/')}>=" in setup


def test_files_keep_to_the_editor_settings() -> None:
    settings = configparser.ConfigParser()
    settings.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    assert settings["*"]["trim_trailing_whitespace"] == "true"
    assert settings["*"]["insert_final_newline"] == "true"
    folders = ("imagehub", "tests", "docs", "migrations", "benchmarks", ".github")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    endings = {".py", ".js", ".css", ".html", ".md", ".yaml", ".yml", ".po", ".xml", ".svg"}
    for path in [*paths, *ROOT.glob("*.*")]:
        if path.suffix in endings and "vendor" not in path.parts and path.is_file():
            text = path.read_text()
            assert text.endswith("\n") or not text, f"{name_file(path)} lacks its last newline"
            assert not re.search(r"[ \t]$", text, re.M), (
                f"{name_file(path)} has spaces at a line's end"
            )
