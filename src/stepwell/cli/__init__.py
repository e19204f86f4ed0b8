"""The command line."""

import click

from stepwell import __version__
from stepwell.cli.failures import Commands
from stepwell.cli.lazy_commands import LazyCommands

__all__ = ["main"]

_PLACES = {
    "audit": ("audit_group", "audit_group"),
    "backup": ("upkeep_commands", "backup"),
    "check": ("deploy_commands", "check"),
    "completion": ("upkeep_commands", "print_completion"),
    "copy": ("transfer_commands", "copy_store"),
    "deploy": ("deploy_commands", "deploy"),
    "deployments": ("deploy_commands", "deployments_group"),
    "dev": ("serving_commands", "dev"),
    "doctor": ("upkeep_commands", "doctor"),
    "export": ("transfer_commands", "export_instances"),
    "facts": ("facts_group", "facts_group"),
    "graph": ("workflow_commands", "graph"),
    "hosts": ("hosts_group", "hosts_group"),
    "import": ("transfer_commands", "import_instances"),
    "init": ("upkeep_commands", "init"),
    "instances": ("instances_group", "instances_group"),
    "jobs": ("jobs_group", "jobs_group"),
    "limits": ("limits_group", "limits_group"),
    "login": ("signing_in_commands", "login"),
    "logout": ("signing_in_commands", "logout"),
    "mcp": ("serving_commands", "speak_mcp"),
    "migrate": ("upkeep_commands", "migrate"),
    "profile": ("profiles_group", "profile_group"),
    "reencrypt": ("upkeep_commands", "reencrypt"),
    "restore": ("upkeep_commands", "restore"),
    "rollback": ("deploy_commands", "rollback"),
    "schedules": ("schedules_group", "schedules_group"),
    "serve": ("serving_commands", "serve"),
    "settings": ("serving_commands", "show_settings"),
    "token": ("tokens_group", "token_group"),
    "trigger": ("workflow_commands", "trigger"),
    "version": ("upkeep_commands", "version"),
    "webhooks": ("webhooks_group", "webhooks_group"),
    "whoami": ("signing_in_commands", "whoami"),
    "worker": ("serving_commands", "worker"),
    "workflows": ("workflows_group", "workflows_group"),
}


@click.group(cls=Commands, commands=LazyCommands(_PLACES), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stepwell", message="%(prog)s %(version)s")
def main() -> None:
    """Durable workflows in ordinary Python, with the Cloudflare Workflows API."""
