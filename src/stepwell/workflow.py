"""What authors import: the class of a workflow, its event, and the step object that its `run` receives.

The decorator is Cloudflare's: parameters name earlier steps, whose results are injected. The direct form
`await step.do("name", function, *arguments)` is ours.

Source: developers.cloudflare.com/workflows/python/
"""

import inspect
import json
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    NotRequired,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVarTuple,
    Unpack,
    get_args,
    overload,
)

from stepwell import values
from stepwell.core.retries import CONFIG_KEYS
from stepwell.errors import InvalidStepConfig, UnfitValue, WorkflowFatalError
from stepwell.flow import Flow
from stepwell.isolation import Limits
from stepwell.step_traits import TRAITS, traits_of
from stepwell.steps import DecoratedStep, StepOptions, StepPort, bind

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Params = TypeVar("Params", default=Any)
    R = TypeVar("R")
else:
    from typing import TypeVar

    Params = TypeVar("Params")
    R = TypeVar("R")

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

_ON_CANCEL = ("terminate", "leave")
_END_OF_TIME_MS = 1e17
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WorkflowEvent(dict[str, Any], Generic[Params]):
    """What `run` receives: a dict with `payload`, `timestamp`, `instanceId` and `workflowName`, as on Cloudflare.

    An instance that a schedule has made has `schedule`, too. The same are attributes; `payload` then has the type that
    the class was given: `WorkflowEntrypoint[Order]`.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowevent
    """

    def __init__(self, facts: Mapping[str, Any], params_type: Any = None) -> None:
        super().__init__(facts)
        self._params_type = params_type

    @cached_property
    def payload(self) -> Params:
        """The params of the instance. Raises WorkflowFatalError if they do not fit their type."""
        if self._params_type is None:
            plain: Params = self["payload"]
            return plain
        try:
            params: Params = values.convert(self["payload"], self._params_type, "params")
        except UnfitValue as error:
            raise WorkflowFatalError(f"The params do not fit the workflow: {error}") from None
        return params

    @property
    def timestamp(self) -> datetime:
        """When the instance was created: a datetime in UTC without a zone."""
        moment: datetime = self["timestamp"]
        return moment

    @property
    def instance_id(self) -> str:
        """The id of the instance."""
        return str(self["instanceId"])

    @property
    def workflow_name(self) -> str:
        """The name of the workflow."""
        return str(self["workflowName"])

    @property
    def schedule(self) -> dict[str, Any] | None:
        """Of an instance that a schedule has made: `cron`, and `scheduledTime` in milliseconds since 1970."""
        return self.get("schedule")


class WorkflowEntrypoint(Generic[Params]):
    """Base of an author's workflow: override `run`.

    `WorkflowEntrypoint[Order]` gives `event.payload` that type, and params that do not fit it are refused when an
    instance is created. `exceptions` names exception classes of other packages that steps raise: they can be caught by
    their own class then, as those of the script's own modules can. `flow` says how many instances may run at a time,
    `schedules` are cron expressions that create instances, where the wrangler file has none.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    exceptions: ClassVar[Sequence[type[Exception]]] = ()
    flow: ClassVar[Flow | None] = None
    schedules: ClassVar[str | Sequence[str]] = ()

    def __init__(self, ctx: object = None, env: Any = None) -> None:
        self.ctx = ctx
        self.env = env

    def run(self, event: WorkflowEvent[Params], step: "WorkflowStep") -> Any:  # noqa: ARG002 - for authors to use
        """Do the work. What it returns is the instance's output."""
        raise TypeError(f"{type(self).__name__} has no method `run(self, event, step)`")


def params_type(workflow: type[WorkflowEntrypoint[Any]]) -> Any:
    """Return the type that a workflow's params have, or None if the author gave none."""
    for kind in workflow.__mro__:
        for base in vars(kind).get("__orig_bases__", ()):
            arguments = get_args(base)
            if getattr(base, "__origin__", None) is WorkflowEntrypoint and not isinstance(arguments[0], TypeVar):
                return None if arguments[0] is Any else arguments[0]
    return None


def params_schema(workflow: type[WorkflowEntrypoint[Any]]) -> str | None:
    """Return the JSON Schema of a workflow's params as text, or None if any JSON will do."""
    found = values.schema(params_type(workflow))
    return None if found is None else json.dumps(found)


class _Decorating(Protocol):
    @overload
    def __call__(self, function: Callable[..., Coroutine[Any, Any, R]], /) -> DecoratedStep[R]: ...
    @overload
    def __call__(self, function: Callable[..., R], /) -> DecoratedStep[R]: ...


class _Given(TypedDict, total=False):
    """What may be said of a step beside its function and that one's arguments."""

    config: Mapping[str, Any] | None
    limit: str | None
    isolated: bool | Limits | None


class _GivenRollback(_Given):
    """The same, of one that is undone."""

    rollback: Callable[..., Any]
    rollback_config: NotRequired[Mapping[str, Any] | None]


_NO_OPTIONS = StepOptions(None, concurrent=False, config=None)


class WorkflowStep:
    """The step object of one run."""

    def __init__(self, port: StepPort) -> None:
        self.port = port
        self.steps: dict[str, DecoratedStep[Any]] = {}

    @overload
    def do(self, name: Callable[..., Coroutine[Any, Any, R]], /) -> DecoratedStep[R]: ...
    @overload
    def do(self, name: Callable[..., R], /) -> DecoratedStep[R]: ...
    @overload
    def do(
        self, name: str, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def do(
        self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def do(
        self,
        name: str,
        function: Callable[[*Ts], Coroutine[Any, Any, R]],
        /,
        *args: *Ts,
        **given: Unpack[_Given],
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def do(
        self, name: str, function: Callable[[*Ts], R], /, *args: *Ts, **given: Unpack[_Given]
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def do(
        self,
        name: str,
        function: Callable[[*Ts], Coroutine[Any, Any, R]],
        /,
        *args: *Ts,
        **given: Unpack[_GivenRollback],
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def do(
        self, name: str, function: Callable[[*Ts], R], /, *args: *Ts, **given: Unpack[_GivenRollback]
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def do(
        self,
        name: str | None = None,
        depends: Sequence[DecoratedStep[Any]] | None = None,
        concurrent: bool = False,
        config: Mapping[str, Any] | None = None,
        *,
        rollback: Callable[..., Any] | None = None,
        rollback_config: Mapping[str, Any] | None = None,
        limit: str | None = None,
        isolated: bool | Limits | None = None,
    ) -> _Decorating: ...
    def do(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]  # it does accept all of them
        """Make a step of a function: as a decorator, or at once.

        `@step.do(name=None, depends=None, concurrent=False, config=None)`: call the decorated function and await it to
        run the step. `name` is the function's own unless given. Each parameter but `ctx` is the name of an earlier
        decorated step and receives its result; or `depends` lists those steps, in the order of the parameters.
        `concurrent` resolves them at the same time.

        `await step.do(name, function, *args, config=None, **kwargs)`: run the function with these arguments as a step,
        async or not. A parameter `ctx` that is not given receives the step's context.

        `config` is `{"retries": {"limit", "delay", "backoff"}, "timeout", "sensitive"}` and, ours, `"heartbeat"`,
        `"retry_on"` and `"dont_retry_on"` (exception classes).

        `rollback` undoes the step: if an error escapes `run`, or the instance is terminated with rollback, those of all
        steps that have begun run, the one that began last first. It takes a RollbackContext, or nothing; async or not.
        `rollback_config` is the config of its attempts.

        `limit` names a limit that steps of all instances share: an attempt begins when it has a slot of that, as the
        flow of a class declares it, or `stepwell limits share` has set it. Stepwell's own.

        `isolated` gives the step a process of its own, with limits such as `{"memory": "512 MiB", "cpu": "30 seconds"}`
        or, if it is True, those of a worker. Its body calls no steps. Stepwell's own.

        Source: developers.cloudflare.com/workflows/python/python-workers-api/
        """
        if len(args) == 1 and not kwargs and isinstance(args[0], str):
            # As most steps are made; the long way takes a twentieth of a replay.
            return lambda function: self._decorate(function, args[0], _NO_OPTIONS)
        if len(args) > 1 and callable(args[1]):
            name, function, *arguments = args
            config = kwargs.pop("config", None)
            if arguments and config is None:
                _check_last(name, function, arguments)
            traits = traits_of(name, {trait: kwargs.pop(trait, None) for trait in TRAITS})
            return self._run(name, config, bind(function, tuple(arguments), kwargs, traits))
        if args[1:] and isinstance(args[1], Mapping):
            # JavaScript has it in this place.
            raise _misplaced(args[0], args[1])
        return self._decorator(*args, **kwargs)

    async def sleep(self, name: str, duration: object) -> None:
        """Sleep for a number of milliseconds or a duration such as "5 minutes"; at most 365 days."""
        await self.port.sleep(name, duration)

    async def sleep_until(self, name: str, timestamp: datetime | float) -> None:
        """Sleep until a moment: a datetime (UTC if it has no zone) or milliseconds since 1970.

        Raises SleepInThePast if it is over.
        """
        await self.port.sleep_until(name, _moment(name, timestamp))

    async def wait_for_event(self, name: str, event_type: str, /, timeout: object = ...) -> dict[str, Any]:
        """Wait until somebody sends an event of this type; return its `payload`, `timestamp` and `type`.

        An event that came before the call is not lost. Raises WorkflowTimeoutError after `timeout` (1 second to
        365 days; 24 hours if nothing is said, unless the server's settings say otherwise).
        """
        return await self.port.wait_for_event(name, event_type, timeout)

    async def child(self, name: str, workflow: Any, params: object = None, *, on_cancel: str = "terminate") -> Any:
        """Start an instance of another workflow (a binding such as `self.env.SHIPPING`), and return its output.

        It is a step of this name, which starts it once, and a wait for its end, which takes as long as it takes and
        costs nothing. Raises ChildFailed if it errors, is terminated or deleted. `on_cancel` is what becomes of it if
        this instance is terminated, deleted or restarted, or the call is cancelled: "terminate" or "leave". Stepwell's
        own.
        """
        if on_cancel not in _ON_CANCEL:
            raise InvalidStepConfig(name, "on_cancel", on_cancel, '"terminate" or "leave"')
        if not hasattr(workflow, "start_child"):
            expected = "a binding of a workflow, such as self.env.SHIPPING"
            raise InvalidStepConfig(name, "the workflow", workflow, expected)
        return await self.port.child(name, workflow, params, follows=on_cancel == "terminate")

    async def set_progress(self, progress: object) -> None:
        """Say how far the instance is, as any JSON value: the latest is shown with its status. Cheap, and no step."""
        self.port.set_progress(progress)

    async def set_labels(self, labels: Mapping[str, str | None]) -> None:
        """Set labels of the instance, by which people find it, and take away those whose value is None; others stay.

        They are stored when this returns, and no step: a replay does not set them again. Only `run` itself sets labels,
        not the body of a step. Raises WorkflowFatalError if one breaks the rules. Stepwell's own.
        """
        await self.port.set_labels(labels)

    def patched(self, name: str) -> bool:
        """Tell whether this instance may go the way of newer code, so that one source serves old instances and new.

        False for an instance that had gone further than this place before the code asked here; True for all others,
        now and at each replay. `name` is told apart from others of the instance, and is asked for by `run` itself, not
        in the body of a step: raises WorkflowFatalError there. Costs no step. Stepwell's own.
        """
        return self.port.patched(name)

    def log(self, message: str) -> None:
        """Write a line into the instance's log: once, not again at each replay."""
        self.port.log(message)

    async def _run(self, name: Any, config: Mapping[str, Any] | None, body: Any) -> Any:
        return await self.port.do(name, config, body)

    def _decorator(  # noqa: PLR0913  # the options of `do`
        self,
        name: Any = None,
        depends: Sequence[DecoratedStep[Any]] | None = None,
        concurrent: bool = False,
        config: Mapping[str, Any] | None = None,
        *,
        rollback: Callable[..., Any] | None = None,
        rollback_config: Mapping[str, Any] | None = None,
        limit: str | None = None,
        isolated: bool | Limits | None = None,
    ) -> Any:
        given = {"rollback": rollback, "rollback_config": rollback_config, "limit": limit, "isolated": isolated}
        options = StepOptions(depends, concurrent, config, traits_of("step" if name is None else name, given))
        # Asked first, as it is cheaper: most names are text.
        if callable(name) and inspect.isroutine(name):
            return self._decorate(name, name.__name__, options)
        return lambda function: self._decorate(function, function.__name__ if name is None else name, options)

    def _decorate(self, function: Callable[..., Any], name: Any, options: StepOptions) -> DecoratedStep[Any]:
        step: DecoratedStep[Any] = DecoratedStep(self, function, name, options)
        if isinstance(name, str):
            self.steps[name] = step
        return step


def to_moment(at_ms: int) -> datetime:
    """Return a moment as authors see it: a datetime in UTC without a zone, as on Cloudflare."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=None)


def _check_last(name: str, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Refuse a config that is given as the last argument, where the function takes none there but its context."""
    last = arguments[-1]
    if not isinstance(last, Mapping) or not last or not last.keys() <= set(CONFIG_KEYS):
        return
    try:
        taken = inspect.signature(function).bind_partial(*arguments).arguments
    except TypeError:
        raise _misplaced(name, last) from None
    if taken.get("ctx") is last:
        raise _misplaced(name, last)


def _misplaced(name: str, config: object) -> InvalidStepConfig:
    return InvalidStepConfig(name, "the config", config, "given by its name, step.do(name, function, config={...})")


def _moment(name: str, timestamp: object) -> int:
    if isinstance(timestamp, datetime):
        aware = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
        # Rounded up: a wake-up is never early.
        return -((_EPOCH - aware) // timedelta(milliseconds=1))
    if isinstance(timestamp, int | float) and not isinstance(timestamp, bool) and abs(timestamp) < _END_OF_TIME_MS:
        return math.ceil(timestamp)
    raise InvalidStepConfig(name, "the moment", timestamp, "a datetime or milliseconds since 1970")
