"""Name the images of the Dockerfile, compose.yaml and the workflows by digest.

``make pin-images`` asks the registries through ``docker buildx imagetools inspect``. The tag stays
in front of the digest for people and for Dependabot, which raises both.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# A tag is part of the name; images without one, such as our own, are not from a registry.
IMAGE = re.compile(
    r"^(FROM |\s+(?:image|container): )([\w./-]+:[\w.-]+)(@sha256:[0-9a-f]{64})?(?=\s|$)", re.M
)


def list_files(root: Path) -> list[Path]:
    """List the files that may name images."""
    workflows = sorted((root / ".github/workflows").glob("*.yaml"))
    return [root / "Dockerfile", root / "compose.yaml", *workflows]


def main(root: Path = ROOT) -> None:
    digests: dict[str, str] = {}
    for path in list_files(root):
        text = path.read_text()
        for _, image, _ in IMAGE.findall(text):
            if image not in digests:
                digests[image] = find_digest(image)
        path.write_text(IMAGE.sub(lambda found: _write(found, digests), text))
    for image, digest in digests.items():
        print(f"{image}@{digest}")


def find_digest(image: str) -> str:
    """Ask the registry for the digest of an image for all platforms."""
    command = ["docker", "buildx", "imagetools", "inspect", image]
    command += ["--format", "{{json .Manifest.Digest}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = _DIGEST.search(done.stdout)
    if done.returncode or found is None:
        sys.exit(f"docker knows no digest of {image}:\n{done.stderr.strip()}")
    return found.group()


def _write(found: "re.Match[str]", digests: dict[str, str]) -> str:
    return f"{found.group(1)}{found.group(2)}@{digests[found.group(2)]}"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
