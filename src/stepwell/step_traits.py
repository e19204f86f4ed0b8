"""What an author gives a step beside its name and config: what undoes it, a limit, a process of its own."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from stepwell.errors import InvalidStepConfig, WorkflowFatalError
from stepwell.isolation import Isolation, isolation_of
from stepwell.limits import LIMIT_NAME_RULE, is_limit_name


class StepRollback(Struct, frozen=True):
    """What undoes a step: the author's function, and the config of its attempts."""

    function: Callable[..., Any]
    config: Mapping[str, Any] | None = None


def rollback_of(
    name: object, function: Callable[..., Any] | None, config: Mapping[str, Any] | None
) -> StepRollback | None:
    """Return the rollback that an author gave a step; None if he gave none. Raises WorkflowFatalError.

    Source: developers.cloudflare.com/workflows/build/workers-api/#rollback
    """
    if function is None and config is None:
        return None
    if not callable(function):
        raise WorkflowFatalError(f'Rollback for "{name!s:.300}" must be a function, got {function!r:.100}')
    return StepRollback(function, config)


def limit_of(name: object, limit: object) -> str | None:
    """Return the limit that an author gave a step; None if he gave none. Raises InvalidStepConfig."""
    if limit is not None and not is_limit_name(limit):
        raise InvalidStepConfig(str(name), "the limit", limit, f"a name of {LIMIT_NAME_RULE}")
    return None if limit is None else str(limit)


class StepTraits(Struct, frozen=True):
    """What an author gives a step beside its config.

    What undoes it, the name of the limit that it shares with other steps, that it has a process of its own, and that it
    starts a child.
    """

    rollback: StepRollback | None = None
    limit: str | None = None
    isolation: Isolation | None = None
    is_child: bool = False


NO_TRAITS = StepTraits()
# The options that say them.
TRAITS = ("rollback", "rollback_config", "limit", "isolated")
_NONE_GIVEN = dict.fromkeys(TRAITS)


def traits_of(name: object, given: Mapping[str, Any]) -> StepTraits:
    """Return the traits that an author has given a step. Raises WorkflowFatalError or InvalidStepConfig."""
    # Most steps have none, and to ask so takes 0.05 us.
    if given == _NONE_GIVEN:
        return NO_TRAITS
    return StepTraits(
        rollback_of(name, given.get("rollback"), given.get("rollback_config")),
        limit_of(name, given.get("limit")),
        isolation_of(name, given.get("isolated")),
    )
