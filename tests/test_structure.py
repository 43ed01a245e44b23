"""Rules of the code that no linter knows; import rules are in ``.importlinter``."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from imagehub import errors
from imagehub.database import Base
from imagehub.domain.people.actions import ACTIONS
from imagehub.domain.site import manifest
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


def test_the_decisions_name_each_function_that_commits_on_its_own() -> None:
    """The table of decision 1 says why; a function in neither list is an oversight."""
    found = set()
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text())
        uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "own_transaction"]
        marked = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
            for decorator in node.decorator_list
            if decorator in uses
        ]
        assert len(uses) == len(marked), f"{name}: use own_transaction as a decorator only"
        module = name.removeprefix("domain/").replace("/", ".")
        found |= {f"{module}.{function}" for function in marked}
    decision = (ROOT / "docs/decisions.md").read_text().split("## 1. ")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in decision.splitlines() if line.startswith("| `")]
    assert all(len(row) == 2 and len(row[1]) > 20 for row in rows), "give a reason in each row"
    named = [function for row in rows for function in re.findall("`(.+?)`", row[0])]
    assert sorted(named) == sorted(found)


def test_what_a_script_asks_is_asked_without_one_too() -> None:
    asking = 0
    for path in (PACKAGE / "templates").rglob("*.html"):
        for form in path.read_text().split("<form ")[1:]:
            if "data-ask=" in form.split(">", 1)[0]:
                asking += 1
                assert "{{ sure() }}" in form.split("</form>", 1)[0], path.name
    assert asking > 3


def find_untranslatable(path: Path) -> list[int]:
    """Lines where an error of ours, or ``say``, gets a sentence that no catalogue can hold."""
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ImageHubError)
    }
    lines = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        kind = kinds.get(node.func.id)
        if kind is None and node.func.id != "say":
            continue
        # What was looked for and its key are no sentences.
        if kind is not None and issubclass(kind, errors.NotFoundError):
            continue
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        lines += [part.lineno for part in given if is_put_together(part)]
    return lines


def is_put_together(node: ast.expr) -> bool:
    """Tell an f-string, a sum of strings, or ``"…".format()`` from a constant or a message."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("format", "join")
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mod) or (
            isinstance(node.op, ast.Add)
            and any(
                isinstance(part, ast.Constant | ast.JoinedStr) for part in (node.left, node.right)
            )
        )
    return isinstance(node, ast.JoinedStr)


def test_sentences_for_people_can_be_translated() -> None:
    """Give sentences with values as ``Message`` or ``gettext``, not as f-strings."""
    # In ``runtime``, ``say`` prints to the terminal, which is English.
    found = {
        name: find_untranslatable(path)
        for name, path in MODULES.items()
        if not name.startswith("runtime/")
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_every_action_of_the_log_is_known() -> None:
    """A name that ``ACTIONS`` does not hold would fail only when somebody does it."""
    noted = {
        call.args[0].value: name
        for name, path in MODULES.items()
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("commit_action", "count_action")
        and isinstance(call.args[0], ast.Constant)
    }
    assert len(noted) > 30
    unknown = {action: name for action, name in noted.items() if action not in ACTIONS}
    assert unknown == {}, "add the action and its sentence to domain/people/actions.py"


def test_each_table_is_exported_or_left_out_for_a_reason() -> None:
    """A new table goes into the manifest of `imagehub export`, or is named as left out."""
    assert not manifest.EXPORTED_TABLES & manifest.LEFT_OUT_TABLES.keys()
    named = manifest.EXPORTED_TABLES | manifest.LEFT_OUT_TABLES.keys()
    unnamed = set(Base.metadata.tables) - named
    assert not unnamed, "export them or name them in imagehub/domain/site/manifest.py"
