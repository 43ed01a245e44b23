"""Who may import whom; a failing test says which line to change."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGE = ROOT / "imagehub"
BLUEPRINTS = ("auth", "gallery", "admin")

# library → the places that may import it (folders end with "/")
ALLOWED = {
    "flask": (
        "__init__",
        "database",
        "web",
        "cli",
        "openapi",
        "wiring",
        "bulk_import",
        "demo",
        "doctor",
        "i18n",
        "auth/",
        "gallery/",
        "admin/",
        "emulators/",
    ),
    "flask_login": ("web", "auth/", "gallery/", "admin/", "i18n"),
    "flask_wtf": ("web", "auth/", "gallery/", "admin/"),
    "flask_babel": ("i18n", "web", "auth/", "gallery/", "admin/"),
    "boto3": ("clients/s3",),
    "botocore": ("clients/s3",),
    "msal": ("clients/identity",),
    "requests": ("clients/",),
    "PIL": ("imaging", "picture_kinds", "picture_metadata", "emulators/"),
    "pillow_heif": ("imaging", "picture_kinds", "emulators/"),
    "huey": ("queue", "worker"),
    "redis": ("queue",),
    "zipstream": ("archive",),
    "pydantic": ("openapi", "auth/", "gallery/", "admin/"),
}


def iter_modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        yield name, path


def list_imports(name: str, path: Path) -> list[str]:
    """Absolute names of everything a module imports, at the top and inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = ["imagehub", *name.split("/")]
                base = ".".join(filter(None, [*parts[: len(parts) - node.level], node.module]))
            found += [f"{base}.{alias.name}" for alias in node.names]
    return found


MODULES = dict(iter_modules())
IMPORTS = {name: list_imports(name, path) for name, path in MODULES.items()}


@pytest.mark.parametrize("library", sorted(ALLOWED))
def test_a_library_is_imported_in_its_places_alone(library: str) -> None:
    places = ALLOWED[library]
    wrong = [
        name
        for name, imports in IMPORTS.items()
        if any(i == library or i.startswith(library + ".") for i in imports)
        and not any(name == p or (p.endswith("/") and name.startswith(p)) for p in places)
    ]
    assert wrong == [], f"{library} belongs into {places}"


def is_inside(imported: str, *places: str) -> bool:
    return any(imported == f"imagehub.{p}" or imported.startswith(f"imagehub.{p}.") for p in places)


def test_the_domain_knows_no_blueprint_no_web_and_no_implementation() -> None:
    forbidden = (
        *BLUEPRINTS,
        "web",
        "cli",
        "wiring",
        "openapi",
        "queue",
        "worker",
        "serve",
        "clients.s3",
        "clients.graph",
        "clients.graph_boundary",
        "clients.graph_bytes",
        "clients.graph_http",
        "clients.graph_items",
        "clients.identity",
        "emulators",
    )
    for name, imports in IMPORTS.items():
        if name.startswith("domain/"):
            assert [i for i in imports if is_inside(i, *forbidden)] == [], name


def test_models_and_database_know_nothing_above_them() -> None:
    for name, imports in IMPORTS.items():
        if name.startswith("models/") or name == "database":
            wrong = [
                i
                for i in imports
                if i.startswith("imagehub.") and not is_inside(i, "models", "database")
            ]
            assert wrong == [], name


def test_blueprints_do_not_know_each_other() -> None:
    for name, imports in IMPORTS.items():
        for blueprint in BLUEPRINTS:
            if name.startswith(f"{blueprint}/"):
                others = [b for b in BLUEPRINTS if b != blueprint]
                assert [i for i in imports if is_inside(i, *others)] == [], name


def test_emulators_are_programs_of_their_own() -> None:
    for name, imports in IMPORTS.items():
        inside = name.startswith("emulators/")
        for imported in imports:
            if inside:
                assert not imported.startswith("imagehub.") or is_inside(imported, "emulators"), (
                    name
                )
            else:
                assert not is_inside(imported, "emulators"), name


def test_clients_know_no_domain() -> None:
    for name, imports in IMPORTS.items():
        if name.startswith("clients/"):
            assert [i for i in imports if is_inside(i, "domain", "models", *BLUEPRINTS)] == [], name


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
