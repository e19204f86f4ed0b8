"""The tools that change something. Their docstrings and parameters are what models go by."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from mcp.types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field

from stepwell.cli.failures import USAGE, Failure
from stepwell.cli.mcp import answers
from stepwell.cli.mcp.reading import Instance, Workflow
from stepwell.cli.targets import named
from stepwell.cli.workflows import check
from stepwell.client import Client

_Tool = Callable[..., Mapping[str, Any]]

# Whatever begins or goes on runs code, which may reach anything.
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
_SETS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
_ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)
_REDOES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True)

# The name of a step of the code, and which one of that name it is.
_LOGGED_NAME = re.compile(r"(.+)-([1-9][0-9]{0,8})", re.DOTALL)

Step = Annotated[str, Field(description="As get_instance names it: with its count, such as charge-1.")]
FromStep = Annotated[
    str | None, Field(description="Begin at this step, named as by get_instance; at the beginning if not given.")
]
FromType = Annotated[Literal["step", "sleep", "waitForEvent"], Field(description="Of which type from_step is.")]
NewId = Annotated[str | None, Field(description="Id of the new instance; one is made if not given.")]
Json = Annotated[Any, Field(description="JSON: an object, or any other value.")]


class StepError(BaseModel):
    """An error."""

    model_config = ConfigDict(extra="forbid")

    name: str
    message: str = ""


class Controlling:
    """Tools that change something, of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def tools(self) -> Sequence[tuple[_Tool, ToolAnnotations]]:
        """All of them, each with what is said of it to clients."""
        return (
            (self.create_instance, _ADDS),
            (self.send_event, _ADDS),
            (self.pause_instance, _SETS),
            (self.resume_instance, _SETS),
            (self.terminate_instance, _ENDS),
            (self.restart_instance, _REDOES),
            (self.fork_instance, _ADDS),
            (self.decide_step, _REDOES),
            (self.run_schedule, _ADDS),
        )

    def create_instance(
        self,
        workflow: Workflow,
        params: Json = None,
        id: NewId = None,
        labels: Annotated[dict[str, str] | None, Field(description="Texts by which it is found.")] = None,
    ) -> answers.CreatedAnswer:
        """Create an instance of a workflow, which begins at once: its code runs, with all that it does in the world.

        Give an id of your own where calling twice would do harm: a second instance of the same id is refused.
        """
        return _created(self._client.create_instance(check(workflow), id, {} if params is None else params, labels))

    def send_event(
        self,
        workflow: Workflow,
        id: Instance,
        type: Annotated[str, Field(description="What a wait of the instance waits for, as get_instance's why says.")],
        payload: Json = None,
    ) -> answers.DoneAnswer:
        """Send an event to an instance that has not ended.

        What waits for its type goes on with the payload; if nothing does yet, the event is kept for it. Each call sends
        one more.
        """
        wanted = named(self._client, check(workflow), id)
        self._client.send_event(workflow, wanted, type, payload)
        return {"id": wanted, "done": f"event of the type {type} is on record"}

    def pause_instance(self, workflow: Workflow, id: Instance) -> answers.StatusAnswer:
        """Pause an instance: attempts in flight come to their end, nothing else begins, and sleeps stand still.

        waitingForPause: it is about to be paused. resume_instance lets it go on.
        """
        return self._changed(workflow, id, {"status": "pause"})

    def resume_instance(self, workflow: Workflow, id: Instance) -> answers.StatusAnswer:
        """Let a paused instance go on. Of one that is not paused, nothing changes."""
        return self._changed(workflow, id, {"status": "resume"})

    def terminate_instance(
        self,
        workflow: Workflow,
        id: Instance,
        rollback: Annotated[
            bool, Field(description="First undo its steps, by the rollbacks that its code has.")
        ] = False,
    ) -> answers.StatusAnswer:
        """End an instance for good, in the middle of what it does; instances that it has started and awaits end, too.

        What its steps have done stays done, unless rollback is true. Ask whoever you work for before you do this.
        """
        return self._changed(workflow, id, {"status": "terminate", **({"rollback": True} if rollback else {})})

    def restart_instance(
        self,
        workflow: Workflow,
        id: Instance,
        from_step: FromStep = None,
        from_type: FromType = "step",
    ) -> answers.StatusAnswer:
        """Begin an instance again, on the newest version of its workflow, whatever its status is.

        With from_step, what came before it stays; it and all that began later is forgotten and runs anew. Without it
        every step runs anew: what they have done in the world is done a second time.
        """
        asked: dict[str, Any] = {"status": "restart"}
        if from_step is not None:
            asked["from"] = _step_of_code(from_step, from_type)
        return self._changed(workflow, id, asked)

    def fork_instance(  # noqa: PLR0913, PLR0917 - one for each parameter
        self,
        workflow: Workflow,
        id: Instance,
        from_step: FromStep = None,
        from_type: FromType = "step",
        params: Annotated[Any, Field(description="Other params, JSON; the same if not given.")] = None,
        outputs: Annotated[
            dict[str, Any] | None, Field(description='Other outputs of earlier steps: {"charge-1": {"ok": true}}.')
        ] = None,
        new_id: NewId = None,
        version: Annotated[
            str | None, Field(description='Id of a version, or "newest"; that of the source if not given.')
        ] = None,
    ) -> answers.CreatedAnswer:
        """Make a new instance from a step of another one, which stays as it is: what came before the step is copied.

        The safe way to try a repair: the original keeps its history. The step and all that follows run in the new one.
        """
        asked = {
            "from": None if from_step is None else _step_of_code(from_step, from_type),
            "params": params,
            "outputs": outputs,
            "instance_id": new_id,
            "version_id": version,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return _created(self._client.fork(workflow, named(self._client, check(workflow), id), given))

    def decide_step(  # noqa: PLR0913, PLR0917 - one for each parameter
        self,
        workflow: Workflow,
        id: Instance,
        step: Step,
        action: Annotated[
            Literal["retry", "skip", "complete", "fail"],
            Field(
                description="retry: begin the next attempt now. skip: end a sleep now. complete: let the step return "
                "value, or a wait get it as its payload. fail: let it fail for good with error."
            ),
        ],
        type: Annotated[
            Literal["step", "waitForEvent", "rollback"], Field(description="Of which type the step is, but for skip.")
        ] = "step",
        value: Annotated[Any, Field(description="For complete: what it returns, JSON.")] = None,
        error: Annotated[StepError | None, Field(description="For fail: the error that the code gets.")] = None,
    ) -> answers.DoneAnswer:
        """Decide by hand what becomes of a step of an instance that has not ended.

        An attempt in flight is ended by complete and fail. A value that is made up is what the code goes on with: ask
        whoever you work for unless you know that it is true. Of an instance that has errored, use restart_instance.
        """
        wanted = named(self._client, check(workflow), id)
        asked: dict[str, Any] = {"action": action, "step": step}
        if action != "skip":
            asked["type"] = type
        if action == "complete":
            asked["value"] = value
        if action == "fail":
            asked["error"] = (error or StepError(name="Error")).model_dump()
        self._client.force_step(workflow, wanted, asked)
        return {"id": wanted, "done": f"{action} of {step} is on record"}

    def run_schedule(
        self, workflow: Workflow, cron: Annotated[str, Field(description="As list_schedules has it.")]
    ) -> answers.CreatedAnswer:
        """Create an instance of a schedule now, as if it fired; when it fires next stays as it is."""
        return _created(self._client.run_schedule(check(workflow), cron))

    def _changed(self, workflow: str, id: str, asked: Mapping[str, Any]) -> answers.StatusAnswer:
        wanted = named(self._client, check(workflow), id)
        return {"id": wanted, "status": self._client.change_status(workflow, wanted, asked)["status"]}


def _created(instance: Mapping[str, Any]) -> answers.CreatedAnswer:
    answer = answers.CreatedAnswer(id=instance["id"], status=instance["status"])
    if "version_id" in instance:
        answer["version_id"] = instance["version_id"]
    return answer


def _step_of_code(step: str, type: str) -> Mapping[str, Any]:
    """Return a step that is named as the log has it as the API is told where to begin. Raises Failure for another."""
    found = _LOGGED_NAME.fullmatch(step)
    if found is None:
        raise Failure(f'"{step}" has no count', USAGE, "Name it as get_instance does, such as charge-1.")
    return {"name": found[1], "count": int(found[2]), "type": "do" if type == "step" else type}
