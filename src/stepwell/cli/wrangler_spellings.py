"""Commands as wrangler spells them, which `--help` does not list: scripts move over when they say `stepwell` instead.

`wrangler workflows trigger` and `wrangler workflows instances ...` are ours without `workflows`. Options that wrangler
calls otherwise are spelled so beside the others, where those are declared.
"""

import copy

import click

from stepwell.cli.instances_group import instances_group
from stepwell.cli.workflow_commands import trigger


def _hidden(command: click.Command) -> click.Command:
    other = copy.copy(command)
    other.hidden = True
    return other


workflows_trigger = _hidden(trigger)
workflows_instances = _hidden(instances_group)
