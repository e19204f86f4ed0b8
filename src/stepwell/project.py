"""Where an author's code lies: the source files, and the folder of the wrangler file that names what is in them.

A project is a Python file, a folder of them, or a folder whose wrangler file names its source in `main`.
"""

from pathlib import Path

from msgspec import Struct

from stepwell import wrangler
from stepwell.errors import ScriptError


class Project(Struct, frozen=True):
    """An author's code. Modules are imported from `folder`; the wrangler file and `.dev.vars` lie in `root`."""

    # The file, or the folder whose files are the scripts.
    source: Path
    root: Path
    config: wrangler.Config
    # The file that the wrangler file names as the source, if it does.
    main: Path | None = None

    @classmethod
    def at(cls, path: Path) -> "Project":
        """Find the project of a file or folder. Raises ScriptError."""
        path = path.resolve()
        if not path.exists():
            raise ScriptError(f"{path} does not exist; give a Python file, or a folder of them, that has a workflow")
        return _of_folder(path) if path.is_dir() else _of_file(path)

    @property
    def folder(self) -> Path:
        """The folder that the source lies in."""
        return self.source if self.source.is_dir() else self.source.parent

    @property
    def files(self) -> list[Path]:
        """The files that may have workflows. A folder's that begin with `_`, `.` or `test_` are left out."""
        if self.source.is_file():
            return [self.source]
        return sorted(file for file in self.source.glob("*.py") if not file.name.startswith(("_", ".", "test_")))


def _of_folder(folder: Path) -> Project:
    config = wrangler.read_config(folder)
    main = wrangler.main(config, folder)
    if main is not None and not main.is_file():
        raise ScriptError(f"the wrangler file of {folder} names {main} in `main`, and there is no such file")
    if main is not None and not main.is_relative_to(folder):
        raise ScriptError(f"the wrangler file of {folder} names {main} in `main`, which is not beneath that folder")
    return Project(main or folder, folder, config, main)


def _of_file(file: Path) -> Project:
    """Take the wrangler file beside the source, or the nearest one above it that names it in `main`."""
    config = wrangler.read_config(file.parent)
    if not config:
        for folder in file.parent.parents:
            above = wrangler.read_config(folder)
            if above:
                if wrangler.main(above, folder) == file:
                    return Project(file, folder, above, file)
                break
    return Project(file, file.parent, config, wrangler.main(config, file.parent))
