"""Complete the wheel; everything that can be declared is in ``setup.cfg``.

Migrations lie beside the package in the repository and in it once installed. Browser files are
built from npm packages, which machines that install a wheel need not have.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.errors import SetupError

MIGRATIONS = "migrations"
VENDOR = Path("imagehub/static/vendor")


def check_browser_files() -> None:
    if not VENDOR.is_dir():
        raise SetupError(f"{VENDOR} is missing. `make dist` builds it, and then the packages.")


class BuildSource(sdist):
    def run(self) -> None:
        check_browser_files()
        super().run()


class BuildPackage(build_py):
    """Pack the migrations into the wheel."""

    def run(self) -> None:
        if not self.editable_mode:
            check_browser_files()
        super().run()
        if not self.editable_mode:
            for source, target in self._list_migrations():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs: list[str] = super().get_outputs(include_bytecode)
        return outputs + [str(target) for _, target in self._list_migrations()]

    def _list_migrations(self) -> list[tuple[Path, Path]]:
        target = Path(self.build_lib) / "imagehub"
        files = (path for path in sorted(Path(MIGRATIONS).rglob("*")) if path.is_file())
        return [(path, target / path) for path in files if "__pycache__" not in path.parts]


setup(cmdclass={"build_py": BuildPackage, "sdist": BuildSource})
