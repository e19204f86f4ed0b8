"""Commands as wrangler spells them, which `--help` does not list: scripts move over when they say `stepwell` instead.

`wrangler workflows trigger` and `wrangler workflows instances ...` are ours without `workflows`. Options that wrangler
calls otherwise are spelled so beside the others, where those are declared.
"""

import copy

import click

from stepwell.cli.failures import Commands

_BENEATH_WORKFLOWS = ("trigger", "instances")


def attach(main: click.Group) -> None:
    """Give the group `workflows` what wrangler has beneath it; without that group, make a hidden one."""
    group = main.commands.get("workflows")
    if not isinstance(group, click.Group):
        group = Commands("workflows", hidden=True, help="Commands as wrangler spells them.")
        main.add_command(group)
    for name in _BENEATH_WORKFLOWS:
        command = copy.copy(main.commands[name])
        command.hidden = True
        group.add_command(command, name)
