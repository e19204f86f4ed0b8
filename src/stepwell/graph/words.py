"""What is said of the nodes of a graph, in words; all of it is text that may be shown as it is."""

from stepwell import durations
from stepwell.core.retries import DEFAULTS
from stepwell.graph.nodes import Config, Duration, EventOptions, Kind, Place, Retries, Shape
from stepwell.graph.texts import ELLIPSIS, visible

AT_THE_SAME_TIME: dict[Kind, str] = {
    "all": "at the same time",
    "all_settled": "at the same time, whatever fails",
    "any": "at the same time, until one succeeds",
    "race": "at the same time, until one ends",
}

# How deep a payload is told.
_DEPTH = 4


def of_config(config: Config) -> tuple[str, ...]:
    """Say what of a step's config is not the default."""
    said = []
    retries = config.retries
    if not retries.limit:
        said.append("no retries")
    elif not _is_default(retries):
        times = "1 retry" if retries.limit == 1 else f"{retries.limit} retries"
        said.append(f"{times}, {_backoff(retries)}")
    if not _is_same(config.timeout, DEFAULTS.timeout):
        said.append(f"at most {duration(config.timeout)}")
    return tuple(said)


def of_wait(options: EventOptions | None) -> tuple[str, ...]:
    """Say what a wait waits for."""
    if options is None:
        return ("waits for an event",)
    return f"waits for event {visible(options.event_type)}", f"at most {duration(options.timeout)}"


def of_call(starts: int | None, resolves: int | None) -> tuple[str, ...]:
    """Say between which points a call goes on that is begun and awaited apart."""
    if starts is None:
        return ()
    return (f"in the background, {'not awaited' if resolves is None else f'{starts} to {resolves}'}",)


def of_place(place: Place | None) -> str:
    """Say where a node lies in the source; nothing if that is not known."""
    return "" if place is None else f"{visible(place.file)}:{place.line}"


def of_payload(payload: Shape | None) -> tuple[str, ...]:
    """Say what a payload has, if that is known."""
    return () if payload is None or not payload.fields else (f"payload {_shape(payload, _DEPTH)}",)


def duration(value: Duration) -> str:
    """Say how long something takes: in the largest unit that it fills, or as it is in the source."""
    ms = durations.to_ms(value)
    return visible(str(value)) if ms is None or isinstance(value, str) else durations.in_words(ms)


def condition(word: str, text: str | None) -> str:
    """Say when a branch is taken: `word` and its condition, or else."""
    return "else" if text is None else f"{word} {visible(text)}"


def _backoff(retries: Retries) -> str:
    after = duration(retries.delay)
    return {
        "constant": f"each after {after}",
        "linear": f"after {after}, then longer",
        "exponential": f"after {after}, then doubled",
    }[retries.backoff]


def _is_default(retries: Retries) -> bool:
    is_same = (retries.limit, retries.backoff) == (DEFAULTS.limit, DEFAULTS.backoff)
    return is_same and _is_same(retries.delay, DEFAULTS.delay)


def _is_same(one: Duration, other: Duration) -> bool:
    return durations.to_ms(one) == durations.to_ms(other)


def _shape(shape: Shape, depth: int) -> str:
    if shape.fields is None:
        return ""
    if not depth:
        return f"{{{ELLIPSIS}}}"
    fields = ((visible(name), _shape(field, depth - 1)) for name, field in shape.fields.items())
    return f"{{{', '.join(f'{name}: {inner}' if inner else name for name, inner in fields)}}}"
