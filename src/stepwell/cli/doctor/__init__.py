"""`stepwell doctor`: what commonly goes wrong, looked for: on this machine, in a store, at a server."""

from collections.abc import Iterator, Mapping
from typing import Any

from stepwell.cli.doctor.finding import Finding, many
from stepwell.cli.doctor.machine import look_at_code, look_at_machine
from stepwell.cli.doctor.servers import look_at_server
from stepwell.cli.doctor.stores import look_at_store
from stepwell.cli.failures import FAILED
from stepwell.cli.output import Column, Output
from stepwell.cli.terminal import say

__all__ = ["examine"]

_COLUMNS = (
    Column("state", lambda item: item["state"], is_status=True),
    Column("check", lambda item: item["check"]),
    Column("finding", lambda item: "; ".join(filter(None, (item["said"], item["remedy"]))), is_prose=True),
)


def examine(code: tuple[str, str | None], store: str, where: Mapping[str, Any], out: Output) -> int:
    """Print what is found; return the exit code: 1 if something does not work.

    `code`: where it is, and the file of its settings if that is not the project's.
    """
    found: list[Finding] = []

    def told() -> Iterator[Mapping[str, str]]:
        for finding in _look(code, store, where):
            found.append(finding)
            yield {
                "state": finding.state,
                "check": finding.check,
                "said": finding.said,
                "remedy": finding.remedy,
            }

    out.show_all(told(), _COLUMNS, "check")
    faults, warnings = (sum(finding.state == state for finding in found) for state in ("fault", "warning"))
    if out.is_text:
        say(f"{many(len(found), 'check')}: {many(faults, 'fault')}, {many(warnings, 'warning')}")
    return FAILED if faults else 0


def _look(code: tuple[str, str | None], store: str, where: Mapping[str, Any]) -> Iterator[Finding]:
    yield from look_at_machine()
    yield from look_at_code(*code)
    yield from look_at_store(store)
    yield from look_at_server(where)
