"""Workflows and their versions, as Cloudflare's SDKs have them.

Source: developers.cloudflare.com/api/resources/workflows/
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.sdk.effects import Flow, Program
from stepwell.sdk.graph import VersionGraph
from stepwell.sdk.instances import Instances
from stepwell.sdk.messages import Request, get, send_json
from stepwell.sdk.models import ChangedWorkflow, DeletedWorkflow, RetentionPeriods, Version, Workflow
from stepwell.sdk.paging import pages
from stepwell.sdk.ways import Call, Resource, Runner, Series, Site, Way


class Versions(Resource[Way]):
    """The versions of workflows."""

    @Series
    def list(self, workflow_name: str, *, per_page: int | None = None) -> Flow[Version]:
        """Yield the versions of a workflow, newest first. `per_page`: how many are asked for at once."""
        path = self._path("workflows", workflow_name, "versions")
        return pages(path, {"per_page": per_page}, Version, self._site.retries)

    @Call
    def get(self, workflow_name: str, version_id: str) -> Program[Version]:
        """Return a version. Raises NotFound."""
        return self._ask(get(self._path("workflows", workflow_name, "versions", version_id)), Version)

    @Call
    def graph(self, workflow_name: str, version_id: str) -> Program[VersionGraph]:
        """Return a version with the graph of its code. Raises NotFound."""
        path = self._path("workflows", workflow_name, "versions", version_id, "graph")
        return self._ask(get(path), VersionGraph)


class Workflows(Resource[Way]):
    """Workflows, their instances and their versions."""

    def __init__(self, runner: Runner, site: Site) -> None:
        super().__init__(runner, site)
        self.instances: Instances[Way] = Instances(runner, site)
        self.versions: Versions[Way] = Versions(runner, site)

    @Series
    def list(self, *, search: str | None = None, per_page: int | None = None) -> Flow[Workflow]:
        """Yield the workflows of the account, those whose names have `search` in them.

        `per_page` is how many are asked for at once, 1 to 100.
        """
        return pages(self._path("workflows"), {"search": search, "per_page": per_page}, Workflow, self._site.retries)

    @Call
    def get(self, workflow_name: str) -> Program[Workflow]:
        """Return a workflow, with how many of its instances have each status. Raises NotFound."""
        return self._ask(get(self._path("workflows", workflow_name)), Workflow)

    @Call
    def update(  # noqa: PLR0913 - the members of Cloudflare's body
        self,
        workflow_name: str,
        *,
        class_name: str,
        script_name: str,
        limits: Mapping[str, int] | None = None,
        concurrency: Mapping[str, int] | None = None,
        schedules: Sequence[Mapping[str, str]] | None = None,
        default_retention: RetentionPeriods | None = None,
    ) -> Program[ChangedWorkflow]:
        """Create a workflow, or change it, which makes a version. Never sent again on its own.

        `limits` is such as `{"steps": 1000}`, `concurrency` `{"limit": 5}`, `schedules` `[{"cron": "0 9 * * *"}]`.
        """
        body: dict[str, Any] = {
            "class_name": class_name,
            "script_name": script_name,
            "limits": limits,
            "concurrency": concurrency,
            "schedules": schedules,
            "default_retention": default_retention,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return self._ask(send_json("PUT", self._path("workflows", workflow_name), given), ChangedWorkflow)

    @Call
    def delete(self, workflow_name: str) -> Program[DeletedWorkflow]:
        """Delete a workflow with all its instances.

        Raises NotFound; where an answer was lost on the way, it may have been there until then.
        """
        request = Request("DELETE", self._path("workflows", workflow_name), is_repeatable=True)
        return self._ask(request, DeletedWorkflow)
