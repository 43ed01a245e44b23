"""What stands around the program: make targets, CI, the image, the composed hub, the benchmarks."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.chaos.__main__ import main as chaos
from imagehub.cli import main
from imagehub.config import FILE_NAMES, SETTING_NAMES
from tests.support import ROOT, require

COMPOSE = ROOT / "compose.yaml"
DOCKERFILE = ROOT / "Dockerfile"


def run_make(*arguments: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [require("make"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_every_target() -> None:
    listed = re.findall(r"^  make ([a-z0-9-]+) +\S", run_make("help").stdout, re.M)
    phony = re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M)[0].split()
    assert set(listed) == set(phony)


def test_make_alone_helps() -> None:
    assert "make demo" in run_make().stdout


def test_the_demo_takes_a_folder_with_spaces_and_a_port() -> None:
    plan = run_make("--dry-run", "demo", "PHOTOS=/My pictures/of 2026", "PORT=8099").stdout
    assert 'imagehub demo --port 8099 --photos "/My pictures/of 2026"' in plan


def test_each_way_to_run_installs_first(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    for name in ("Makefile", "setup.cfg", "package.json", "package-lock.json"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in ("tools/build_assets.py", "imagehub/static/icons.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for target, extra in (("demo", ""), ("serve", ""), ("worker", ""), ("test", "test")):
        plan = run_make("--dry-run", target, folder=tmp_path).stdout
        assert "python3 -m venv .venv" in plan
        assert "pip install --quiet" in plan
        assert "--require-hashes -r requirements/build.txt -r requirements/tiles.txt" in plan
        assert "-m tools.build_assets" in plan
        assert ("-r requirements/test.txt" in plan) == bool(extra)


def test_an_old_python_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "setup.cfg").touch()
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    made = run_make("install", f"PYTHON={old}", folder=tmp_path)
    assert made.returncode != 0
    assert "Python 3.11 or newer" in made.stdout
    assert not (tmp_path / ".venv").exists()


def test_ci_is_a_program_that_requires_everything() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    text = script.read_text()
    assert "IMAGEHUB_TEST_REQUIRE=all" in text
    assert text.index("make check") < text.index("make test")


# --- The composed hub -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def test_the_composed_hub_runs_commands_and_settings_that_exist(
    services: dict[str, dict[str, object]],
) -> None:
    for name in ("migrate", "web", "worker"):
        command = services[name]["command"]
        environment = services[name]["environment"]
        assert isinstance(command, list) and isinstance(environment, dict)
        assert command[0] in main.commands
        assert set(environment) <= {*SETTING_NAMES, *FILE_NAMES}


def test_each_secret_of_the_composed_hub_is_a_file_that_the_guide_makes() -> None:
    composed = yaml.safe_load(COMPOSE.read_text())
    files = composed["secrets"]
    assert {f"secrets/{name}" for name in files} == {one["file"] for one in files.values()}
    for service in composed["services"].values():
        given = set(service.get("secrets", ()))
        named = [value for name, value in service.get("environment", {}).items() if "_FILE" in name]
        assert sorted(named) == sorted(f"/run/secrets/{name}" for name in given)
        for name, value in service.get("environment", {}).items():
            if re.search(r"_(KEY|PASSWORD|SECRET)$", name):
                assert (name, value) == ("MYSQL_RANDOM_ROOT_PASSWORD", "1")
    guide = (ROOT / "docs" / "deployment.md").read_text()
    for name in files:
        assert f"> secrets/{name}" in guide


def test_the_hub_cannot_change_its_own_files(services: dict[str, dict[str, object]]) -> None:
    for name in ("migrate", "web", "worker"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]


def test_everything_that_must_be_given_to_it_is_in_the_deployment_guide() -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    guide = (ROOT / "docs" / "deployment.md").read_text()
    example = guide.split("cat > hub.env", 1)[1].split("END\n")[0]
    assert needed <= set(re.findall(r"^(\w+)=", example, re.M))


def test_the_proxy_of_the_composed_hub_gets_its_host_names(
    services: dict[str, dict[str, object]],
) -> None:
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
    environment = services["proxy"]["environment"]
    assert isinstance(environment, dict)
    assert set(re.findall(r"\{\$(\w+)\}", caddyfile)) == set(environment)
    for address in re.findall(r"reverse_proxy (\S+):\d+", caddyfile):
        assert address in services


# --- Kubernetes -----------------------------------------------------------------------------------

KUBERNETES = ROOT / "deploy" / "kubernetes"


def read_documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((KUBERNETES / name).read_text()))


def test_kubernetes_runs_commands_and_settings_that_exist() -> None:
    [kustomization] = read_documents("kustomization.yaml")
    listed = set(kustomization["resources"])
    assert listed | {"kustomization.yaml"} == {path.name for path in KUBERNETES.glob("*.yaml")}
    for name in ("settings.env", "secrets.env.example"):
        for line in (KUBERNETES / name).read_text().splitlines():
            assert line.partition("=")[0] in SETTING_NAMES
    generated = {"settings", "secrets"}
    seen = set()
    for document in [one for name in listed for one in read_documents(name)]:
        if document["kind"] != "Deployment":
            continue
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["initContainers"] + pod["containers"]:
            assert container["args"][0] in main.commands
            seen.add(container["args"][0])
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            sources = [next(iter(source.values()))["name"] for source in container["envFrom"]]
            assert set(sources) == generated
    assert seen == {"migrate", "web", "worker"}


# --- The image ------------------------------------------------------------------------------------


def test_the_image_is_built_from_files_that_are_there_and_let_in() -> None:
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = set()
    for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE.read_text(), re.M):
        copied.update(line.split())
    assert copied == let_in
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_image_runs_the_hub_as_nobody_special() -> None:
    last = DOCKERFILE.read_text().split("\nFROM ")[-1]
    assert "\nUSER 10001:10001\n" in last
    assert "/healthz" in last.split("HEALTHCHECK")[1]
    entry = re.findall(r'^CMD \["(\w+)"', last, re.M)[0]
    assert entry in main.commands


# --- Benchmarks -----------------------------------------------------------------------------------


def run_benchmarks(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_benchmarks_are_listed() -> None:
    listed = run_benchmarks("list").stdout
    for name in ("import_rate", "renditions", "page_load", "presign", "worker_memory"):
        assert re.search(rf"^{name} +\S", listed, re.M)


def test_one_benchmark_runs_alone_with_its_table() -> None:
    result = run_benchmarks("presign", "--count", "50")
    assert result.returncode == 0
    assert "## presign" in result.stdout
    assert "botocore" in result.stdout
    assert "## renditions" not in result.stdout


def test_an_unknown_benchmark_is_told() -> None:
    result = run_benchmarks("nonsense")
    assert result.returncode == 2
    assert "There is no benchmark nonsense." in result.stderr


def test_chaos_is_limited_to_the_life_of_its_token(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        chaos(["--minutes", "51"])
    assert caught.value.code == 2
    assert "at most 50" in capsys.readouterr().err
