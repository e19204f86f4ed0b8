"""The sources in a folder, each read when it is asked for."""

from collections.abc import Iterator, Mapping
from importlib.util import decode_source
from pathlib import Path


class Folder(Mapping[str, str]):
    """The Python files beneath a folder, by path with `/` between the parts. What cannot be read is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> str:
        path = Path(name)
        if path.suffix != ".py" or ".." in path.parts or path.is_absolute():
            raise KeyError(name)
        try:
            return decode_source((self._path / path).read_bytes())
        except (OSError, SyntaxError, ValueError, LookupError):
            # No such file, one in an encoding that nobody knows or that is none of texts, or one that it does not fit.
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return (path.relative_to(self._path).as_posix() for path in sorted(self._path.rglob("*.py")))

    def __len__(self) -> int:
        return sum(1 for _ in self)
