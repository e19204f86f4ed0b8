"""A Python, with Stepwell and what that needs, that every user of the machine may read: ours may lie in a home."""

import os
import re
import shutil
import sys
import sysconfig
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import stepwell

# Large, and never imported.
_LEFT_OUT = (
    "test",
    "idlelib",
    "tkinter",
    "lib2to3",
    "ensurepip",
    "turtledemo",
    "pydoc_data",
    "site-packages",
    "config-*",
)


def make_python(folder: Path) -> Path:
    """Copy the Python that runs this into a folder, and return the copy, which needs `lib` there in LD_LIBRARY_PATH."""
    library = Path(sysconfig.get_path("stdlib"))
    copied = folder / "lib" / library.name
    shutil.copytree(library, copied, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob("libpython3.*.so.*"):
        shutil.copy2(shared, folder / "lib")
    python = folder / "bin" / Path(os.path.realpath(sys.executable)).name
    python.parent.mkdir()
    shutil.copy2(os.path.realpath(sys.executable), python)
    packages = copied / "site-packages"
    shutil.copytree(Path(stepwell.__file__).parent, packages / "stepwell")
    for package in _needed("stepwell", {}).values():
        # Links lead back to where it cannot be read.
        tops = {file.parts[0] for file in package.files or () if file.suffix != ".pth"}
        for top in tops - {"..", "__pycache__"}:
            _copy(Path(str(package.locate_file(top))), packages / top)
    return python


def _needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return the packages that one needs, with all that these need, but for extras."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key not in found:
        try:
            found[key] = distribution(name)
        except PackageNotFoundError:  # of another system, or another Python
            return found
        for needed in found[key].requires or ():
            if "extra ==" not in needed:
                _needed(re.split(r"[^\w.-]", needed, maxsplit=1)[0], found)
    return found


def _copy(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, target, dirs_exist_ok=True)
    else:
        shutil.copy2(path, target)
