"""Run all benchmarks one after the other, or the named ones: ``make bench ARGS="presign"``.

Each is a program of its own (``python -m benchmarks.presign``), prints a table, and may be given
arguments of its own when it is run alone: ``make bench ARGS="renditions ~/photo.jpg"``.
"""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def list_benchmarks() -> dict[str, str]:
    """Name of each module with a ``main`` → the first sentence about it."""
    found = {}
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            words = " ".join((ast.get_docstring(tree) or path.stem).partition("\n\n")[0].split())
            found[path.stem] = words.replace("``", "").partition(". ")[0].rstrip(".") + "."
    return found


def main(arguments: Sequence[str]) -> int:
    """:return: the exit status: 1 if one of them failed."""
    known = list_benchmarks()
    if arguments and arguments[0] in ("-h", "--help", "list"):
        for name, words in known.items():
            print(f"{name:<16}{words}")
        return 0
    names = [name for name in arguments if name in known]
    rest = [argument for argument in arguments if argument not in known]
    if rest and len(names) != 1:
        print(f"There is no benchmark {rest[0]}. There are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or known:
        print(f"\n## {name}\n\n{known[name]}\n", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *rest]
        if subprocess.run(command, cwd=FOLDER.parent, check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"\nThese failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
