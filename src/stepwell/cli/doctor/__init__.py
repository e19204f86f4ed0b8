"""`stepwell doctor`: what commonly goes wrong, looked for: on this machine, in a store, at a server."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from stepwell.cli.doctor.finding import Finding, many
from stepwell.cli.doctor.machine import look_at_code, look_at_machine
from stepwell.cli.doctor.servers import look_at_server
from stepwell.cli.doctor.stores import look_at_store
from stepwell.cli.failures import FAILED
from stepwell.cli.output import Column, Output
from stepwell.cli.terminal import say
from stepwell.errors import StepwellError

__all__ = ["examine"]

_COLUMNS = (
    Column("state", lambda item: item["state"], is_status=True),
    Column("check", lambda item: item["check"]),
    Column("finding", lambda item: "; ".join(filter(None, (item["said"], item["remedy"]))), is_prose=True),
)


def examine(
    code: tuple[str, str | None], store: str, where: Mapping[str, Any], out: Output, *, mends: bool = False
) -> int:
    """Print what is found; return the exit code: 1 if something does not work.

    `code`: where it is, and the file of its settings if that is not the project's. `mends`: what can be put right
    safely is.
    """
    found: list[Finding] = []

    def told() -> Iterator[Mapping[str, str]]:
        for seen in _look(code, store, where):
            finding = _mended(seen) if mends else seen
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
        fixed = sum(finding.state == "fixed" for finding in found)
        also = f", {fixed} fixed" if mends else ""
        say(f"{many(len(found), 'check')}: {many(faults, 'fault')}, {many(warnings, 'warning')}{also}")
    return FAILED if faults else 0


def _mended(finding: Finding) -> Finding:
    """Do what helps, if that can be done, and return what came of it."""
    if finding.mend is None:
        return finding
    try:
        done = finding.mend()
    except (StepwellError, OSError) as error:
        return replace(finding, remedy=f"it could not be fixed: {error}; {finding.remedy}")
    return replace(finding, state="fixed", remedy=done or "nothing had to be done any more")


def _look(code: tuple[str, str | None], store: str, where: Mapping[str, Any]) -> Iterator[Finding]:
    yield from look_at_machine()
    yield from look_at_code(*code)
    yield from look_at_store(store)
    yield from look_at_server(where)
