"""What commands print, as it is: the files of this folder. `python -m tests.cli.tables` keeps new ones."""

from pathlib import Path

FOLDER = Path(__file__).parent


def file_of(command: str) -> Path:
    """Return the file with what a command prints."""
    return FOLDER / f"{command.replace(' ', '-')}.txt"


def golden(command: str) -> str:
    """Return what was kept of a command; nothing if nothing was."""
    file = file_of(command)
    return file.read_text(encoding="utf-8") if file.exists() else ""


def keep(command: str, told: str) -> None:
    """Keep what a command prints."""
    file_of(command).write_text(told, encoding="utf-8")
