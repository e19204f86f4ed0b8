"""The steps of a graph as they are held against those of another one."""

from stepwell.graph import nodes
from stepwell.graph.steps import steps_of
from tests.graph.drawn import DAG, ORDER, TWICE, block, call, do, graph, helper, loop, parallel, sleep, when


def test_steps_come_as_in_the_code_with_what_is_around_them() -> None:
    """Those of helpers behind those of `run`; what is called in none of them is left out."""
    steps = list(steps_of(ORDER))

    assert [(one.type, one.name, one.facts.get("place")) for one in steps] == [
        ("step", "validate", None),
        ("step", "reject", "in if not ok"),
        ("step", "charge", "in at the same time"),
        ("step", "reserve", "in at the same time"),
        ("step", "pack {item}", "in for item in items"),
        ("sleep", "cool down", None),
        ("waitForEvent", "approval", "in try"),
        ("step", "escalate", "in except TimeoutError"),
        ("step", "wrap", "in match kind case 'gift'"),
        ("step", "ship", None),
        ("step", "send mail", "in notify()"),
    ]
    assert [one.place for one in steps[:2]] == ["flows.py:7", ""]


def test_what_is_not_the_default_is_said() -> None:
    """In words, by what it is about."""
    until = nodes.StepSleepUntil(key="u", name="u", timestamp="event['at']")
    drawn = graph(
        do("a", config=TWICE, child="shipping", has_rollback=True, starts=1, resolves=2), sleep("nap"), until, do("b")
    )

    assert [dict(one.facts) for one in steps_of(drawn)] == [
        {
            "config": "2 retries, each after 1 second, at most 30 seconds",
            "child": "child workflow shipping",
            "rollback": "rollback",
            "background": "in the background, 1 to 2",
        },
        {"until": "sleeps 1 hour"},
        {"until": "sleeps until event['at']"},
        {},
    ]


def test_steps_of_one_name_are_counted_by_their_type() -> None:
    """A sleep of the name of a step is another one."""
    drawn = graph(do("a"), loop("l", do("a"), sleep("a")), call("h"), helpers=(helper("h", do("a")),))

    assert [(one.type, one.count) for one in steps_of(drawn)] == [("step", 1), ("step", 2), ("sleep", 1), ("step", 3)]


def test_what_a_step_waits_for_is_named() -> None:
    """Also where that stands elsewhere."""
    assert [one.facts.get("after") for one in steps_of(DAG)] == [None, None, "after north, east", "after best, north"]


def test_steps_within_steps_and_branches_are_found() -> None:
    """However deep; a single handler without a head is one all the same."""
    tried = nodes.Try(try_block=None, catch_block=block(do("c")), finally_block=block(do("d")))
    drawn = graph(do("a", do("b")), tried, when(("x", (do("e"),)), ("y", (do("f"),)), (None, (parallel(do("g")),))))

    assert [one.facts.get("place") for one in steps_of(drawn)] == [
        *(None, "in a", "in except", "in finally", "in if x", "in elif y", "in else, at the same time"),
    ]
