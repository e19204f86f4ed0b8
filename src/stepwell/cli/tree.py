"""`stepwell instances tree`: an instance, those that it awaits, and those that they await, over the API."""

import sys

import click

from stepwell.cli.output import Output
from stepwell.cli.targets import named
from stepwell.cli.terminal import clean, painted, painted_mark, say
from stepwell.client import Client


def show(client: Client, workflow: str, id: str, out: Output) -> int:
    """Print a line for each instance, below the one that awaits it; return the exit code."""
    wanted = named(client, workflow, id)
    found = client.tree(workflow, wanted)
    if out.is_whole:
        out.show_one(found, (), wanted)
        return 0
    if not out.is_text:
        out.show_all(found.objects_of("instances"), ())
        return 0
    paint = painted_mark if sys.stdout.isatty() else painted
    for member in found["instances"]:
        status = paint(clean(member["status"]), is_colored=out.is_colored)
        click.echo(f"{'  ' * member['depth']}{clean(member['workflow'])} {clean(member['id'])}  {status}", color=True)
    if not found["is_whole"]:
        say("there are more, which are not shown")
    return 0
