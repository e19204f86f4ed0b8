"""Backoff, and what a step's config may say."""

from datetime import timedelta
from typing import Any

import pytest

from stepwell.core import retries
from stepwell.core.records import DYNAMIC_DELAY, StepConfig
from stepwell.errors import InvalidStepConfig


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        pytest.param("constant", [1000, 1000, 1000, 1000], id="constant"),
        pytest.param("linear", [1000, 2000, 3000, 4000], id="linear"),
        pytest.param("exponential", [1000, 2000, 4000, 8000], id="exponential"),
    ],
)
def test_backoff_says_how_the_wait_grows(backoff: str, waits: list[int]) -> None:
    """Constant waits the same, linear n times as long after the n-th failure, exponential doubles."""
    assert [retries.wait_after(n, 1000, backoff) for n in (1, 2, 3, 4)] == waits


def test_default_schedule_is_the_documented_one() -> None:
    """A step without config waits 10, 20, 40, 80 and 160 s: six attempts in all."""
    config = retries.merge("charge", None)

    assert (config.limit, config.timeout) == (5, "10 minutes")
    assert [retries.wait_after(n, 10_000, config.backoff) for n in range(1, 6)] == [
        10_000,
        20_000,
        40_000,
        80_000,
        160_000,
    ]


def test_ten_thousandth_wait_is_bounded() -> None:
    """A wait fits every integer column, however often it was doubled."""
    assert retries.wait_after(10_000, 10**12, "exponential") == retries.LONGEST_WAIT_MS


@pytest.mark.parametrize(
    ("config", "merged"),
    [
        pytest.param(None, retries.DEFAULTS, id="none"),
        pytest.param({}, retries.DEFAULTS, id="empty"),
        pytest.param(
            {"retries": {"limit": 2, "delay": "3 seconds"}},
            StepConfig(2, "3 seconds", "exponential", "10 minutes"),
            id="retries without backoff are exponential",
        ),
        pytest.param(
            {"retries": {"limit": 0, "delay": 0}}, StepConfig(0, 0, "exponential", "10 minutes"), id="limit 0"
        ),
        pytest.param({"timeout": "5 minutes"}, StepConfig(5, 10_000, "exponential", "5 minutes"), id="timeout only"),
        pytest.param(
            {"timeout": timedelta(seconds=5)}, StepConfig(5, 10_000, "exponential", 5000), id="a timedelta becomes ms"
        ),
        pytest.param(
            {"sensitive": "output"}, StepConfig(5, 10_000, "exponential", "10 minutes", "output"), id="sensitive"
        ),
        pytest.param(
            {"retries": {"limit": 1.5, "delay": 2.5, "backoff": "linear"}},
            StepConfig(1.5, 2.5, "linear", "10 minutes"),
            id="numbers stay as written",
        ),
        pytest.param(
            {"retries": {"limit": 1, "delay": lambda about: 5}},
            StepConfig(1, DYNAMIC_DELAY, "exponential", "10 minutes"),
            id="delay function",
        ),
    ],
)
def test_config_is_merged_with_the_defaults(config: Any, merged: StepConfig) -> None:
    """What a config leaves out is as in the defaults; what it says is kept as written."""
    assert retries.merge("charge", config) == merged


def test_backoff_is_exponential_where_the_servers_default_is_another() -> None:
    """`retries` without `backoff` is exponential, whatever the server's default."""
    defaults = StepConfig(5, 1000, "constant", "10 minutes")

    assert retries.merge("charge", {"retries": {"limit": 1, "delay": 1}}, defaults).backoff == "exponential"
    assert retries.merge("charge", {"timeout": 5}, defaults).backoff == "constant"


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        pytest.param([], "config", [], id="not a dict"),
        pytest.param({"retry": {}}, "config", "retry", id="unknown key"),
        pytest.param({"retries": 3}, "retries", 3, id="retries no dict"),
        pytest.param({"retries": {"limit": 1, "delay": 1, "max": 2}}, "retries", "max", id="unknown key in retries"),
        pytest.param({"retries": {"delay": 1}}, "retries.limit", None, id="limit missing"),
        pytest.param({"retries": {"limit": 1}}, "retries.delay", None, id="delay missing"),
        pytest.param({"retries": {"limit": -1, "delay": 1}}, "retries.limit", -1, id="limit negative"),
        pytest.param({"retries": {"limit": 10_001, "delay": 1}}, "retries.limit", 10_001, id="limit too large"),
        pytest.param({"retries": {"limit": True, "delay": 1}}, "retries.limit", True, id="limit bool"),
        pytest.param({"retries": {"limit": "3", "delay": 1}}, "retries.limit", "3", id="limit text"),
        pytest.param({"retries": {"limit": float("nan"), "delay": 1}}, "retries.limit", None, id="limit nan"),
        pytest.param({"retries": {"limit": 10**400, "delay": 1}}, "retries.limit", 10**400, id="limit huge"),
        pytest.param({"retries": {"limit": 1, "delay": 10**400}}, "retries.delay", 10**400, id="delay huge"),
        pytest.param({"retries": {"limit": 1, "delay": "soon"}}, "retries.delay", "soon", id="delay no duration"),
        pytest.param({"retries": {"limit": 1, "delay": -5}}, "retries.delay", -5, id="delay negative"),
        pytest.param(
            {"retries": {"limit": 1, "delay": 1, "backoff": "cubic"}}, "retries.backoff", "cubic", id="backoff"
        ),
        pytest.param({"timeout": 0}, "timeout", 0, id="timeout 0"),
        pytest.param({"timeout": "5s"}, "timeout", "5s", id="timeout no duration"),
        pytest.param({"timeout": False}, "timeout", False, id="timeout bool"),
        pytest.param({"sensitive": True}, "sensitive", True, id="sensitive"),
        pytest.param({"sensitive": ["output"]}, "sensitive", ["output"], id="sensitive unhashable"),
        pytest.param(
            {"retries": {"limit": 1, "delay": 1, "backoff": []}}, "retries.backoff", [], id="backoff unhashable"
        ),
    ],
)
def test_wrong_config_is_refused_by_field(config: Any, field: str, value: object) -> None:
    """A refusal names step, field and value, and says what is expected."""
    with pytest.raises(InvalidStepConfig) as refused:
        retries.merge("charge", config)

    assert (refused.value.step, refused.value.field) == ("charge", field)
    assert value is None or refused.value.value == value
    assert str(refused.value).startswith(f'Step "charge": {field} must be ')


def test_delay_function_is_found_in_live_code() -> None:
    """The function itself is taken from the code that runs; the record only says that there was one."""

    def soon(about: object) -> int:
        return 5

    assert retries.delay_function({"retries": {"limit": 1, "delay": soon}}) is soon
    assert retries.delay_function({"retries": {"limit": 1, "delay": 5}}) is None
    assert retries.delay_function({"retries": None}) is None
    assert retries.delay_function(None) is None


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("often", id="config no dict"),
        pytest.param({"retries": "many"}, id="retries no dict"),
        pytest.param({"retries": {"delay": "soon"}}, id="delay no duration"),
    ],
)
def test_wrong_config_has_no_delay_function(config: Any) -> None:
    """Changed code may give a step on record a wrong config, which is not checked, and nothing breaks by it."""
    assert retries.delay_function(config) is None
