"""docs/reference is what the code says."""

import click

from stepwell import logs
from stepwell.cli import main
from tools import cli_reference, log_reference, metrics_reference


def test_reference_of_commands_is_current() -> None:
    """`make reference` writes it anew."""
    assert cli_reference.PLACE.read_text(encoding="utf-8") == cli_reference.reference(), "run `make reference`"


def test_reference_of_metrics_is_current() -> None:
    """Each metric of a server is in it, and no other; tests/api/test_metrics.py holds a real one against it."""
    assert metrics_reference.PLACE.read_text(encoding="utf-8") == metrics_reference.reference(), "run `make reference`"


def test_reference_of_the_log_is_current() -> None:
    """Each line of the log names its event, and all are in it; no field hides what every line has."""
    page = log_reference.PLACE.read_text(encoding="utf-8")

    assert page == log_reference.reference(), "run `make reference`"
    fields = page.partition("|---|")[2]
    assert [key for key in logs.KEYS if f", `{key}`" in fields or f"| `{key}`" in fields] == []


def test_reference_has_each_command_and_option() -> None:
    """All that `--help` lists, and nothing that is hidden."""
    page = cli_reference.reference()

    def check(command: click.Command, path: str) -> None:
        for name, one in getattr(command, "commands", {}).items():
            assert (f"## {path} {name}\n" in page) is not one.hidden
            if not one.hidden:
                check(one, f"{path} {name}")
        section = page.partition(f"## {path}\n")[2].partition("\n## ")[0]
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden and path != "stepwell":
                assert param.opts[0] in section

    check(main, "stepwell")
    assert "--date-start" not in page
