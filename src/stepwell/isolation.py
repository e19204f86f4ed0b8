"""Steps in a process of their own: what an author asks for, and how he writes it."""

from collections.abc import Mapping
from typing import TypedDict

import msgspec

from stepwell import durations, sizes
from stepwell.errors import InvalidStepConfig

_NAME = "isolated"
# A process with less than this could not load Python.
_LEAST_MEMORY = 64 * sizes.MIB


class Limits(TypedDict, total=False):
    """What the process of a step may have: `memory`, a size such as "512 MiB"; `cpu`, a duration of CPU time."""

    memory: int | str
    cpu: int | float | str


class Isolation(msgspec.Struct, frozen=True):
    """That a step runs in a process of its own, which may have so many bytes, and so many ms of CPU time.

    None: as much memory as a worker, and as much time as the step has.
    """

    memory: int | None = None
    cpu_ms: int | None = None


def isolation_of(name: object, isolated: object) -> Isolation | None:
    """Return what an author has asked for as `isolated`; None: nothing. Raises InvalidStepConfig."""
    if isolated is None or isolated is False:
        return None
    if isolated is True:
        return Isolation()
    step = str(name)
    if not isinstance(isolated, Mapping) or not isolated.keys() <= Limits.__annotations__.keys():
        expected = 'True, or limits such as {"memory": "512 MiB", "cpu": "30 seconds"}'
        raise InvalidStepConfig(step, _NAME, isolated, expected)
    memory, cpu = isolated.get("memory"), isolated.get("cpu")
    size = None if memory is None else sizes.to_bytes(memory)
    if memory is not None and (size is None or size < _LEAST_MEMORY):
        expected = f"{sizes.EXPECTED}, at least {sizes.in_words(_LEAST_MEMORY)}"
        raise InvalidStepConfig(step, f"{_NAME}.memory", memory, expected)
    cpu_ms = None if cpu is None else durations.to_ms(cpu)
    if cpu is not None and not cpu_ms:
        raise InvalidStepConfig(step, f"{_NAME}.cpu", cpu, f"{durations.EXPECTED}, above 0")
    return Isolation(size, cpu_ms)
