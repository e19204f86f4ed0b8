"""`stepwell instances terminate-all`: the job that terminates all instances of a workflow, over the API."""

import time

from stepwell.cli.consent import ask
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.terminal import say
from stepwell.client import Client

# How often a job that is waited for is asked for.
_LOOK_EVERY_S = 0.5


def terminate_all(client: Client, workflow: str, status: str | None, out: Output) -> int:
    """Begin to terminate all instances, or those of a status; return the exit code."""
    _show(workflow, client.terminate_all(workflow, status), out)
    return 0


def terminate_all_and_wait(client: Client, workflow: str, status: str | None, out: Output) -> int:
    """Terminate all instances, or those of a status, and wait for the end; return the exit code."""
    client.terminate_all(workflow, status)
    try:
        while (state := client.termination(workflow))["status"] == "running":
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        say(f"the instances of {workflow} go on being terminated")
        raise
    _show(workflow, state, out)
    return 0


def make_sure(workflow: str, status: str | None) -> None:
    """Ask whether all instances, or those of a status, are to be terminated. Raises Failure if not."""
    which = "all instances" if status is None else f"all instances with status {status}"
    ask(f"terminate {which} of {workflow}", workflow)


def _show(workflow: str, state: Item, out: Output) -> None:
    columns = (Column("workflow", lambda _: workflow), Column("status", lambda item: str(item["status"])))
    out.show_one(state, columns, workflow)
