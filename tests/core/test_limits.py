"""Which names, ids and event types there can be."""

import pytest

from stepwell import limits


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("order", id="letters"),
        pytest.param("Order-2_b", id="all-kinds"),
        pytest.param("_order", id="underscore-first"),
        pytest.param("0", id="digit-first"),
        pytest.param("x" * 64, id="longest"),
    ],
)
def test_workflow_may_be_called(name: str) -> None:
    """A workflow's name is 1 to 64 letters, digits, dashes and underscores."""
    assert limits.is_workflow_name(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("-order", id="dash-first"),
        pytest.param("my order", id="space"),
        pytest.param("a.b", id="dot"),
        pytest.param("örder", id="not-ascii"),
        pytest.param("order\n", id="line-end"),
        pytest.param("x" * 65, id="too-long"),
    ],
)
def test_workflow_may_not_be_called(name: str) -> None:
    """Whatever would need escaping in a URL cannot name a workflow."""
    assert not limits.is_workflow_name(name)


@pytest.mark.parametrize(
    ("instance", "is_allowed"),
    [
        pytest.param("order-42", True, id="usual"),
        pytest.param("x" * 100, True, id="longest"),
        pytest.param("x" * 101, False, id="too-long"),
        pytest.param("", False, id="empty"),
        pytest.param("-1", False, id="dash-first"),
        pytest.param("a/b", False, id="slash"),
        pytest.param("batch", False, id="route-batch"),
        pytest.param("terminate", False, id="route-terminate"),
        pytest.param("terminateAll", False, id="route-terminate-all"),
        pytest.param("Batch", True, id="almost-a-route"),
        pytest.param("cf_" + "0a" * 32, False, id="cloudflares-own"),
        pytest.param("cf_" + "0a" * 31, True, id="almost-cloudflares-own"),
    ],
)
def test_new_instance_id_is_checked(instance: str, *, is_allowed: bool) -> None:
    """A new instance's id is 1 to 100 letters, digits, dashes and underscores, and none of the reserved."""
    assert limits.is_new_instance_id(instance) is is_allowed


@pytest.mark.parametrize(
    ("instance", "is_allowed"),
    [
        pytest.param("*/5 * * * *-1790000000000", True, id="cron"),
        pytest.param("0 9 1,15 * MON#1-1790000000000", True, id="cron-with-all-signs"),
        pytest.param("x" * 271, True, id="longest"),
        pytest.param("x" * 272, False, id="too-long"),
        pytest.param("", False, id="empty"),
        pytest.param("a%20b", False, id="escape"),
    ],
)
def test_addressed_instance_id_is_checked(instance: str, *, is_allowed: bool) -> None:
    """An instance that is asked for may have the id of a cron instance too."""
    assert limits.is_addressed_instance_id(instance) is is_allowed


@pytest.mark.parametrize(
    ("event_type", "is_allowed"),
    [
        pytest.param("approved", True, id="usual"),
        pytest.param("x" * 100, True, id="longest"),
        pytest.param("x" * 101, False, id="too-long"),
        pytest.param("order.approved", False, id="dot"),
        pytest.param("", False, id="empty"),
        pytest.param("-x", False, id="dash-first"),
        pytest.param(7, False, id="number"),
        pytest.param(None, False, id="none"),
    ],
)
def test_event_type_is_checked(event_type: object, *, is_allowed: bool) -> None:
    """An event's type is 1 to 100 letters, digits, dashes and underscores."""
    assert limits.is_event_type(event_type) is is_allowed


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        pytest.param("charge", True, id="usual"),
        pytest.param("", True, id="empty"),
        pytest.param("Charge für Ann / 100 %", True, id="any-text"),
        pytest.param("😀" * 256, True, id="longest"),
        pytest.param("x" * 257, False, id="too-long"),
        pytest.param("a\nb", False, id="line-end"),
        pytest.param("a\x00b", False, id="nul"),
        pytest.param("a\x1fb", False, id="last-control-character"),
        pytest.param("a\ud800", False, id="lone-surrogate"),
        pytest.param(7, False, id="number"),
        pytest.param(None, False, id="none"),
    ],
)
def test_step_name_is_checked(name: object, *, is_allowed: bool) -> None:
    """A step's name is text of up to 256 characters without control characters."""
    assert limits.is_step_name(name) is is_allowed
