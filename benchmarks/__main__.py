"""``python -m benchmarks [NAME …]``: all benchmarks one after the other, or the named ones.

Each is a program of its own, so that none starts with the memory of another.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# What holds no benchmark but helps them.
HELPERS = {"__init__", "__main__", "catalogue"}


def list_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in HELPERS)


def main(wanted: list[str]) -> int:
    names = wanted or list_names()
    unknown = set(names) - set(list_names())
    if unknown:
        print(f"There is no {', '.join(sorted(unknown))}; there are {', '.join(list_names())}.")
        return 2
    failed = []
    for name in names:
        print(f"\n{name.replace('_', ' ').upper()}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if subprocess.run(command, cwd=FOLDER.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
