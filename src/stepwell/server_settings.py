"""What a server can be told: every setting as data, and where its value came from.

A value comes from, in this order: `--set NAME=VALUE`, the environment (`STEPWELL_<NAME>`), the table `[settings]` of
a file, the default. The file is the project's `stepwell.toml`, unless `--config FILE` names another one. What is wrong
in any of them is an error, also where another would win.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

from msgspec import Struct

from stepwell import durations, limits, worker_user
from stepwell.core import retries
from stepwell.durations import DAY_MS, HOUR_MS, SECOND_MS
from stepwell.errors import InvalidSetting
from stepwell.setting_kinds import Kind, Setting, Value, count, duration, size, word
from stepwell.sizes import GIB, MIB

FILE = "stepwell.toml"
PREFIX = "STEPWELL_"
DEFAULT = "default"

_TABLE = "settings"
# What is for commands, which say by it which server they ask.
_OF_COMMANDS = "client"
_LIMITS = "developers.cloudflare.com/workflows/reference/limits/"
_RETRYING = "developers.cloudflare.com/workflows/build/sleeping-and-retrying/"
_EVENTS = "developers.cloudflare.com/workflows/build/events-and-parameters/"
_BATCHES = "developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/bulk/"
_RATES = "developers.cloudflare.com/fundamentals/api/reference/limits/"
_REQUESTS = "developers.cloudflare.com/workers/platform/limits/#request-and-response-limits"

# How alike a variable of the environment is to a setting that it is taken for a slip: others may use the prefix too.
_SLIP = 0.85

_YEAR_MS, _CENTURY_MS = 365 * DAY_MS, 36_500 * DAY_MS
_MANY = 1_000_000
_STEP = retries.DEFAULTS


class Settings(Struct, frozen=True):
    """What a server has been told, or holds by itself. Sizes in bytes, durations in milliseconds."""

    payload_size: Annotated[
        int, size(64 * MIB, "params of an instance, or payload of an event, as JSON: no larger", _LIMITS)
    ] = limits.PAYLOAD_BYTES
    step_result_size: Annotated[int, size(16 * MIB, "result of a step, as JSON: no larger", _LIMITS)] = (
        limits.STEP_RESULT_BYTES
    )
    instance_size: Annotated[
        int, size(1_024 * GIB, "params, event payloads and step results of an instance, together: no larger", _LIMITS)
    ] = limits.INSTANCE_BYTES
    steps_per_instance: Annotated[
        int, count(1, _MANY, "steps of an instance whose workflow has no `limits.steps`: no more", _LIMITS)
    ] = limits.STEPS_PER_INSTANCE
    most_steps_per_instance: Annotated[int, count(1, _MANY, "`limits.steps` of a workflow: no more", _LIMITS)] = (
        limits.MOST_STEPS_PER_INSTANCE
    )
    retries_per_step: Annotated[int, count(0, _MANY, "`retries.limit` in the config of a step: no more", _LIMITS)] = (
        limits.RETRIES_PER_STEP
    )
    retry_limit: Annotated[int, count(0, _MANY, "retries of a step that has no `retries`", _RETRYING)] = int(
        _STEP.limit
    )
    retry_delay: Annotated[
        int, duration(0, _YEAR_MS, "wait before the first retry of a step that has no `retries`", _RETRYING)
    ] = durations.to_ms(_STEP.delay) or 0
    retry_backoff: Annotated[
        str, word(retries.BACKOFFS, "how that wait grows for a step that has no `retries`", _RETRYING)
    ] = _STEP.backoff
    step_timeout: Annotated[
        int, duration(1, _YEAR_MS, "how long an attempt of a step may take that has no `timeout`", _RETRYING)
    ] = durations.to_ms(_STEP.timeout) or 0
    longest_sleep: Annotated[int, duration(SECOND_MS, _CENTURY_MS, "a sleep: no longer", _LIMITS)] = limits.SLEEP_MS
    shortest_wait: Annotated[int, duration(1, _YEAR_MS, "`timeout` of a wait for an event: no shorter", _EVENTS)] = (
        limits.WAIT_MIN_MS
    )
    longest_wait: Annotated[
        int, duration(SECOND_MS, _CENTURY_MS, "`timeout` of a wait for an event: no longer", _EVENTS)
    ] = limits.WAIT_MAX_MS
    wait_timeout: Annotated[
        int, duration(1, _CENTURY_MS, "how long a wait for an event lasts that has no `timeout`", _EVENTS)
    ] = limits.WAIT_MS
    batch_instances: Annotated[
        int, count(1, 10_000, "instances of a batch that are created, deleted or terminated: no more", _BATCHES)
    ] = limits.BATCH_INSTANCES
    schedules_per_account: Annotated[int, count(0, 10_000, "cron expressions of an account: no more", _LIMITS)] = (
        limits.SCHEDULES_PER_ACCOUNT
    )
    queued_instances: Annotated[
        int, count(1, 100_000_000, "instances of a workflow that are queued: no more", _LIMITS)
    ] = limits.QUEUED_INSTANCES
    creations_per_second: Annotated[
        int,
        count(0, _MANY, "instances that an account may create a second by a process; 0: any number", _LIMITS),
    ] = 0
    creations_per_second_of_workflow: Annotated[
        int, count(0, _MANY, "instances of one workflow, in the same way; 0: any number", _LIMITS)
    ] = 0
    requests_per_minute_of_token: Annotated[
        int, count(0, _MANY, "requests that one token may send a minute to a process; 0: any number", _RATES)
    ] = 0
    request_burst_of_token: Annotated[
        int, count(1, _MANY, "requests that it may send at once, where there is such a limit", _RATES)
    ] = limits.REQUEST_BURST_OF_TOKEN
    requests_per_minute_of_address: Annotated[
        int, count(0, _MANY, "requests from one address, in the same way; 0: any number", _RATES)
    ] = 0
    request_burst_of_address: Annotated[
        int, count(1, _MANY, "requests from one address at once, where there is such a limit", _RATES)
    ] = limits.REQUEST_BURST_OF_ADDRESS
    schedule_catch_up: Annotated[
        int,
        duration(
            0,
            _CENTURY_MS,
            "a firing that a schedule has missed is made up for, if it is the last and no older; 0: none is",
        ),
    ] = limits.CATCH_UP_MS
    success_retention: Annotated[
        int,
        duration(
            0,
            limits.MOST_RETENTION_MS,
            "how long an instance that completed is kept where nobody else says",
            _LIMITS,
        ),
    ] = limits.RETENTION_MS
    error_retention: Annotated[
        int,
        duration(
            0,
            limits.MOST_RETENTION_MS,
            "how long one that errored or was terminated is kept where nobody else says",
            _LIMITS,
        ),
    ] = limits.RETENTION_MS
    idempotency_key_retention: Annotated[
        int, duration(SECOND_MS, _YEAR_MS, "how long an `Idempotency-Key` stands for its request")
    ] = limits.IDEMPOTENCY_KEY_MS
    audit_retention: Annotated[
        int, duration(0, _CENTURY_MS, "how long entries of the audit log are kept; 0: for ever")
    ] = limits.AUDIT_RETENTION_MS
    webhook_networks: Annotated[
        str,
        word(
            ("public", "loopback", "private"),
            "where receivers of webhooks may be; each allows what those before it do. `stepwell dev` allows loopback",
        ),
    ] = "public"
    delivery_retention: Annotated[
        int, duration(SECOND_MS, _CENTURY_MS, "how long the log keeps what a webhook was sent, or was given up")
    ] = limits.DELIVERY_RETENTION_MS
    session_idle: Annotated[
        int, duration(SECOND_MS, _YEAR_MS, "a session of the dashboard ends when no page was open for as long")
    ] = limits.SESSION_IDLE_MS
    session_lifetime: Annotated[
        int, duration(SECOND_MS, _YEAR_MS, "a session of the dashboard ends as long after it began")
    ] = limits.SESSION_LIFETIME_MS
    strict_transport: Annotated[
        str,
        word(
            ("host", "subdomains"),
            "whom a browser that came over TLS asks by no other way: this host, or also all whose names are below its",
        ),
    ] = "host"
    longest_poll: Annotated[
        int, duration(0, HOUR_MS, "how long a request with `Prefer: wait` may wait, in whole seconds")
    ] = limits.LONGEST_POLL_MS
    # The server takes 4,096 connections.
    waiting_requests: Annotated[
        int, count(0, 4_000, "requests with `Prefer: wait` that may wait at a time; others are answered at once")
    ] = limits.WAITING_REQUESTS
    traced_instances: Annotated[
        int,
        count(0, 1_000, "of 1,000 instances so many are traced, where their caller does not say and traces are sent"),
    ] = 1_000
    hibernate_after: Annotated[
        int, duration(0, DAY_MS, "an instance that waits for longer takes no memory meanwhile")
    ] = limits.HIBERNATE_AFTER_MS
    foreign_wait: Annotated[
        int,
        duration(SECOND_MS, DAY_MS, "how long `run` may wait for something outside of its steps; then it is replayed"),
    ] = limits.FOREIGN_WAIT_MS
    lost_turns: Annotated[
        int, count(1, _MANY, "an instance is given up when so many workers in a row have died under it")
    ] = limits.LOST_TURNS
    log_lines: Annotated[int, count(1, _MANY, "lines of an instance's log that are kept: the newest")] = (
        limits.LOG_LINES
    )
    attempt_lines: Annotated[int, count(0, _MANY, "lines of an attempt that are kept: the first")] = (
        limits.ATTEMPT_LINES
    )
    attempt_characters: Annotated[int, count(0, 64 * MIB, "characters of an attempt that are kept: the first")] = (
        limits.ATTEMPT_CHARACTERS
    )
    line_characters: Annotated[int, count(16, MIB, "characters of a line of the log; the middle is left out")] = (
        limits.LINE_CHARACTERS
    )
    trace_characters: Annotated[int, count(16, MIB, "characters of a traceback; the middle is left out")] = (
        limits.TRACE_CHARACTERS
    )
    log_streams: Annotated[int, count(0, 10_000, "callers that may follow logs or events at a time")] = (
        limits.LOG_STREAMS
    )
    log_streams_of_token: Annotated[
        int, count(0, 10_000, "of these with one token; 0: half of `log_streams`, so that none keeps others out")
    ] = 0
    fetch_body_size: Annotated[
        int, size(GIB, "body of a request to the `fetch` of your code: no larger", _REQUESTS)
    ] = limits.FETCH_BODY_BYTES
    snapshot_size: Annotated[
        int, size(GIB, "files of the folder that `stepwell serve` serves, together: no larger")
    ] = limits.SNAPSHOT_BYTES
    worker_memory: Annotated[
        int,
        Setting(
            Kind.SIZE,
            "memory of a worker (Linux): an attempt that wants more fails with `MemoryError`; 0: as much as there is",
            None,
            0,
            1_024 * GIB,
        ),
    ] = 0
    worker_open_files: Annotated[
        int, count(0, _MANY, "open files of a worker, sockets too: no more; 0: as many as the server may have")
    ] = 0
    worker_niceness: Annotated[
        int, count(0, 19, "how much workers give way to the server and to others, as with `nice`; 19: to everybody")
    ] = 0
    worker_cpu: Annotated[
        float,
        Setting(
            Kind.CORES,
            "processor cores of a worker, and of what it starts (Linux, cgroups): no more; 0: as many as there are",
            most=1_024,
        ),
    ] = 0
    worker_user: Annotated[
        str,
        Setting(
            Kind.USER,
            "the user as whom workers run your code, where the server runs as root; `none`: as the server itself",
        ),
    ] = worker_user.NONE
    pinned_workers: Annotated[
        int, count(1, 1_000, "workers at a time for instances that stay on earlier code, of one snapshot each")
    ] = limits.PINNED_WORKERS
    pinned_idle: Annotated[
        int, duration(SECOND_MS, DAY_MS, "how long such a worker stays when it has nothing to do")
    ] = limits.PINNED_IDLE_MS
    host_lease: Annotated[
        int,
        duration(SECOND_MS, HOUR_MS, "how long others that share a PostgreSQL store wait for a server that is lost"),
    ] = limits.HOST_LEASE_MS
    page_timeout: Annotated[
        int, duration(100, HOUR_MS, "how long reading a list of instances, workflows or versions may take; then 503")
    ] = limits.PAGE_TIMEOUT_MS
    grace: Annotated[
        int, duration(0, HOUR_MS, "how long steps in flight may go on when the server stops or gets new code")
    ] = limits.GRACE_MS
    blocked_after: Annotated[
        int,
        duration(SECOND_MS, DAY_MS, "a worker that is blocked for as long is named in the server's log and by `why`"),
    ] = limits.BLOCKED_AFTER_MS
    stuck_after: Annotated[
        int, duration(5 * SECOND_MS, 7 * DAY_MS, "a worker that is blocked for as long is killed and replaced")
    ] = limits.STUCK_AFTER_MS
    metrics_access: Annotated[
        str, word(("token", "open"), "who may read `/metrics` of `stepwell serve`: a token with `metrics`, or anybody")
    ] = "token"
    metrics_workflows: Annotated[
        int, count(1, 10_000, "workflows with series of their own in `/metrics`; all others are told together")
    ] = limits.METRICS_WORKFLOWS
    metrics_steps: Annotated[
        int, count(0, 10_000, "steps, by name, in the same way; at most 50 of one workflow; 0: none")
    ] = limits.METRICS_STEPS
    log_format: Annotated[
        str, word(("text", "json"), "the server's log: lines for people, or a JSON object in each line")
    ] = "text"


DEFAULT_SETTINGS = Settings()
SETTINGS: Mapping[str, Setting] = {
    name: kind.__metadata__[0] for name, kind in get_type_hints(Settings, include_extras=True).items()
}

# The first of each pair may not be more than the second.
_IN_ORDER = (
    ("payload_size", "instance_size"),
    ("step_result_size", "instance_size"),
    ("steps_per_instance", "most_steps_per_instance"),
    ("retry_limit", "retries_per_step"),
    ("shortest_wait", "wait_timeout"),
    ("wait_timeout", "longest_wait"),
    ("session_idle", "session_lifetime"),
    ("blocked_after", "stuck_after"),
)


class Told(Struct, frozen=True):
    """What a server has been told, and by what: of each setting a flag, a variable, a file, or `default`."""

    settings: Settings
    origins: Mapping[str, str]


class _Saying(NamedTuple):
    """What somebody wrote, and where."""

    name: str
    value: object
    origin: str


def tell(given: Sequence[str], environment: Mapping[str, str], folder: Path | None, named: str | None = None) -> Told:
    """Return the settings by `--set` options, environment, and a file.

    That is the one that is named, else the one of a project's folder, which needs none. Raises InvalidSetting.
    """
    values: dict[str, Value] = {}
    origins = dict.fromkeys(SETTINGS, DEFAULT)
    # From the weakest to the strongest.
    for saying in (*_of_files(folder, named), *_of_environment(environment), *_of_options(given)):
        name = _name_of(saying)
        value = SETTINGS[name].read(saying.value)
        if value is None:
            raise InvalidSetting(f"{_place(saying)} is {_shown(saying.value)}; it must be {SETTINGS[name].expected}")
        values[name], origins[name] = value, saying.origin
    told = Told(Settings(**values), origins)  # type: ignore[arg-type]  # each was read as what its setting is
    _check_order(told)
    return told


def settings_file(folder: Path, named: str | None) -> Path:
    """Return the file that has settings: the one that is named, else that of a project's folder."""
    return folder / FILE if named is None else Path(named).absolute()


def value_of(settings: Settings, name: str) -> Value:
    """Return the value of a setting by its name."""
    value: Value = getattr(settings, name)
    return value


def _of_files(folder: Path | None, named: str | None) -> Iterator[_Saying]:
    if folder is not None or named is not None:
        yield from _of_file(settings_file(folder or Path(), named), is_needed=named is not None)


def _of_file(file: Path, *, is_needed: bool) -> Iterator[_Saying]:
    try:
        content = _parsed(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not is_needed:
            return
        raise InvalidSetting(f"{file} cannot be read: {error}") from error
    for table in content:
        if table not in {_TABLE, _OF_COMMANDS}:
            raise InvalidSetting(
                f'{file}: "{table:.100}" is not known there; settings belong below the line [settings]'
            )
    said = content.get(_TABLE, {})
    if not isinstance(said, dict):
        raise InvalidSetting(f"{file}: `settings` has to be a table: the line [settings], and a line for each below")
    for name, value in said.items():
        yield _Saying(name, value, str(file))


def _parsed(text: str) -> dict[str, Any]:
    # Imported here: most servers have no such file.
    import tomllib  # noqa: PLC0415 - see above

    return tomllib.loads(text)


def _of_environment(environment: Mapping[str, str]) -> Iterator[_Saying]:
    """Yield what variables say; an empty one says nothing. One that is almost a setting's is taken for a slip."""
    for variable, value in sorted(environment.items()):
        if not variable.startswith(PREFIX) or not value:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in SETTINGS or _near(name, _SLIP):
            yield _Saying(name, value, variable)


def _of_options(given: Sequence[str]) -> Iterator[_Saying]:
    for option in given:
        name, equals, value = option.partition("=")
        if not equals:
            raise InvalidSetting(f'--set {option:.100}: give NAME=VALUE, such as --set "payload_size=4 MiB"')
        yield _Saying(name.strip(), value.strip(), "--set")


def _near(name: str, likeness: float) -> list[str]:
    # Imported here: most names are right.
    import difflib  # noqa: PLC0415 - see above

    return difflib.get_close_matches(name, SETTINGS, 1, likeness)


def _name_of(saying: _Saying) -> str:
    name = saying.name.replace("-", "_")
    if name in SETTINGS:
        return name
    near = _near(name.lower(), 0.5)
    meant = f"did you mean {near[0]}? " if near else ""
    raise InvalidSetting(f"{_place(saying)}: there is no such setting; {meant}`stepwell settings` lists all")


def _check_order(told: Told) -> None:
    for lower, upper in _IN_ORDER:
        low, high = value_of(told.settings, lower), value_of(told.settings, upper)
        if int(low) > int(high):
            shown = [
                f"{name} ({SETTINGS[name].in_words(value)}, from: {told.origins[name]})"
                for name, value in ((lower, low), (upper, high))
            ]
            raise InvalidSetting(f"{shown[0]} must not be more than {shown[1]}; change one of them")


def _place(saying: _Saying) -> str:
    return (
        f"{saying.origin} {saying.name:.100}" if saying.origin == "--set" else f"{saying.name:.100} ({saying.origin})"
    )


def _shown(value: object) -> str:
    return f'"{value:.100}"' if isinstance(value, str) else f"{value!r:.100}"
