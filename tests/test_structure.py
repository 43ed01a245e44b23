"""Rules of the code that no linter knows; import rules are in ``.importlinter``."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support import ROOT

PACKAGE = ROOT / "imagehub"


def iter_modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        yield name, path


MODULES = dict(iter_modules())


def test_the_domain_never_commits() -> None:
    """Views, commands and tasks commit; what must outlive them has a transaction of its own."""
    for name, path in MODULES.items():
        if not name.startswith("domain/"):
            continue
        commits = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "commit"
        ]
        assert commits == [], f"{name} commits in lines {commits}"


def test_what_a_script_asks_is_asked_without_one_too() -> None:
    asking = 0
    for path in (PACKAGE / "templates").rglob("*.html"):
        for form in path.read_text().split("<form ")[1:]:
            if "data-ask=" in form.split(">", 1)[0]:
                asking += 1
                assert "{{ sure() }}" in form.split("</form>", 1)[0], path.name
    assert asking > 3
