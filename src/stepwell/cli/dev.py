"""`stepwell dev`: a server for one author on his own machine: no tokens, one worker, new code when it is saved."""

from dataclasses import replace
from pathlib import Path

from stepwell.cli import server
from stepwell.cli.failures import FAILED, Failure
from stepwell.cli.server import ServerOptions

DATABASE = "stepwell.db"


def serve(data: str, options: ServerOptions) -> int:
    """Serve with the database of a data folder until a signal comes; return the exit code. Raises Failure."""
    store = f"sqlite:///{_data_folder(Path(data)) / DATABASE}"
    return server.run(replace(options, store=store, reloads=True))


def _data_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        message = f"cannot write to the data folder {path.resolve()}: {error.strerror}"
        raise Failure(message, FAILED, "choose another with --data") from error
    return path.resolve()
