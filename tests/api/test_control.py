"""Pause, resume, terminate, restart and delete over HTTP, one instance and many."""

import asyncio

import httpx
import pytest

from stepwell.clock import VirtualClock
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.store.control_operations import StartTermination
from stepwell.terminations import Terminations
from tests.api.histories import Histories

INSTANCES = "workflows/order/instances"
PREFIX = "workflows.api.error."


async def _statuses(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.get(INSTANCES)
    return {instance["id"]: instance["status"] for instance in answer.json()["result"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"status": "pause"}, "paused", id="pause"),
        pytest.param({"status": "resume"}, "waiting", id="resume"),
        pytest.param({"status": "terminate"}, "terminated", id="terminate"),
        pytest.param({"status": "restart"}, "queued", id="restart"),
        pytest.param(
            {"status": "restart", "from": {"name": "cool down", "type": "sleep"}}, "queued", id="restart from"
        ),
    ],
)
async def test_change_is_answered_with_the_status_then(
    client: httpx.AsyncClient, histories: Histories, clock: VirtualClock, body: dict[str, object], status: str
) -> None:
    """A change of the status answers with what the status is, and when."""
    await histories.waiting("order", "a")

    answer = await client.patch(f"{INSTANCES}/a/status", json=body)

    assert (answer.status_code, answer.json()["result"]) == (
        200,
        {"status": status, "timestamp": iso(clock.now())},
    )
    assert (await _statuses(client)) == {"a": status}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param({}, "missing required field `status`", id="nothing"),
        pytest.param({"status": "stop"}, "Invalid value 'stop'", id="unknown status"),
        pytest.param({"status": "pause", "rollback": True}, "unknown field `rollback`", id="rollback of a pause"),
        pytest.param({"status": "terminate", "from": {"name": "a"}}, "unknown field `from`", id="terminate from"),
        pytest.param({"status": "restart", "from": {}}, "missing required field `name`", id="from nothing"),
        pytest.param({"status": "restart", "from": {"name": ""}}, "length >= 1", id="from no name"),
        pytest.param({"status": "restart", "from": {"name": "x" * 257}}, "length <= 256", id="from a long name"),
        pytest.param({"status": "restart", "from": {"name": "a", "count": 0}}, "`int` >= 1", id="count of none"),
        pytest.param({"status": "restart", "from": {"name": "a", "type": "step"}}, "'step'", id="unknown type"),
    ],
)
async def test_wrong_change_is_refused(
    client: httpx.AsyncClient, histories: Histories, body: dict[str, object], problem: str
) -> None:
    """What is no change is refused, with what is wrong in it, and changes nothing."""
    await histories.waiting("order", "a")

    answer = await client.patch(f"{INSTANCES}/a/status", json=body)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 10002)
    assert problem in error["message"]
    assert (await _statuses(client)) == {"a": "waiting"}


@pytest.mark.parametrize(
    ("id", "body", "code", "message"),
    [
        pytest.param("none", {"status": "pause"}, 10400, "instance.not_found: ", id="unknown"),
        pytest.param("done", {"status": "pause"}, 10401, "instance.cannot_pause: ", id="pause"),
        pytest.param("done", {"status": "terminate"}, 10401, "instance.cannot_terminate: ", id="terminate"),
        pytest.param(
            "done",
            {"status": "restart", "from": {"name": "none"}},
            10402,
            'instance.cannot_restart: Step "none" not found in execution history',
            id="from an unknown step",
        ),
    ],
)
async def test_change_that_cannot_be_is_refused(  # noqa: PLR0917  # a case, and what it is tried with
    client: httpx.AsyncClient, histories: Histories, id: str, body: dict[str, object], code: int, message: str
) -> None:
    """What an instance cannot do is refused with Cloudflare's codes, and never with a status that clients repeat."""
    await histories.complete("order", "done")

    answer = await client.patch(f"{INSTANCES}/{id}/status", json=body)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (404 if id == "none" else 400, code)
    assert error["message"].startswith(PREFIX + message)


async def test_terminated_instance_shows_its_end(
    client: httpx.AsyncClient, histories: Histories, clock: VirtualClock
) -> None:
    """A terminated instance has an end, no success and no error, and an entry that says where it was asked for."""
    await histories.waiting("order", "a")

    await client.patch(f"{INSTANCES}/a/status", json={"status": "terminate"})

    result = (await client.get(f"{INSTANCES}/a")).json()["result"]
    assert (result["status"], result["success"], result["error"], result["end"]) == (
        "terminated",
        False,
        None,
        iso(clock.now()),
    )
    assert result["steps"][-1] == {"type": "termination", "trigger": {"source": "api"}}
    assert result["step_count"] == len(result["steps"])
    brief = (await client.get(f"{INSTANCES}/a", params={"simple": "true"})).json()["result"]
    assert brief == result | {"steps": []}


async def test_restarted_instance_shows_its_new_start(
    client: httpx.AsyncClient, histories: Histories, clock: VirtualClock
) -> None:
    """After a restart an instance is as it was when it was created, but for the moment."""
    await histories.complete("order", "a")
    clock.move_to(clock.now() + 500)
    before = (await client.get(f"{INSTANCES}/a")).json()["result"]

    await client.patch(f"{INSTANCES}/a/status", json={"status": "restart"})

    after = (await client.get(f"{INSTANCES}/a")).json()["result"]
    assert (before["output"], before["status"]) == ('{"paid":true}', "complete")
    assert {name: after[name] for name in ("status", "start", "end", "success", "output", "steps", "step_count")} == {
        "status": "queued",
        "start": None,
        "end": None,
        "success": None,
        "output": None,
        "steps": [],
        "step_count": 0,
    }
    assert after["queued"] > before["queued"]
    brief = (await client.get(f"{INSTANCES}/a", params={"simple": "true"})).json()["result"]
    assert brief == after


async def test_deleted_instance_is_404(client: httpx.AsyncClient, histories: Histories, clock: VirtualClock) -> None:
    """A deletion is acknowledged in Cloudflare's spelling; then nothing finds the instance, and its id is free."""
    await histories.complete("order", "a")

    answer = await client.delete(f"{INSTANCES}/a")

    assert (answer.status_code, answer.json()["result"]) == (200, {"instanceId": "a", "timestamp": iso(clock.now())})
    for gone in (await client.get(f"{INSTANCES}/a"), await client.delete(f"{INSTANCES}/a")):
        assert (gone.status_code, gone.json()["errors"][0]["code"]) == (404, 10400)
    assert (await client.post(INSTANCES, json={"instance_id": "a"})).status_code == 200


async def test_batch_is_deleted_place_by_place(client: httpx.AsyncClient, histories: Histories) -> None:
    """Each place is answered in its order: a deleted instance, also where it is named twice, or why it is not."""
    for id in ("a", "b"):
        await histories.queued("order", id)

    answer = await client.post(f"{INSTANCES}/batch/delete", json={"instances": ["b", "none", "a", "b"]})

    result = answer.json()["result"]
    assert (answer.status_code, result["deleted"]) == (200, [{"id": "b"}, {"id": "a"}, {"id": "b"}])
    ((id, code, message),) = [(error["id"], error["code"], error["message"]) for error in result["errors"]]
    assert (id, code) == ("none", 10400)
    assert message.startswith(f'{PREFIX}instance.not_found: no instance "none"')
    assert await _statuses(client) == {}


async def test_batch_is_terminated(client: httpx.AsyncClient, histories: Histories) -> None:
    """Those that can be terminated are, once each, and counted."""
    await histories.complete("order", "c")
    await histories.waiting("order", "b")
    await histories.queued("order", "a")

    answer = await client.post(f"{INSTANCES}/batch/terminate", json=["a", "b", "c", "none", "a"])

    assert (answer.status_code, answer.json()["result"]) == (200, {"status": "ok", "instancesTerminated": 2})
    assert await _statuses(client) == {"a": "terminated", "b": "terminated", "c": "complete"}


@pytest.mark.parametrize("what", ["delete", "terminate"])
async def test_batch_of_none_is_refused(client: httpx.AsyncClient, what: str) -> None:
    """A batch has at least one instance."""
    answer = await client.post(f"{INSTANCES}/batch/{what}", json={"instances": []} if what == "delete" else [])

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 10002)


@pytest.mark.parametrize("what", ["delete", "terminate"])
@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        pytest.param(["a"] * 101, "must name 1 to 100 instances, got 101", id="101"),
        pytest.param(["a", "no:id"], 'instance.invalid_id: "no:id" at position 1', id="one that is no id"),
        pytest.param(["a", 1], "Expected `str`, got `int`", id="one that is no text"),
    ],
)
async def test_ids_of_a_batch_are_checked_first(
    client: httpx.AsyncClient, histories: Histories, what: str, ids: list[object], problem: str
) -> None:
    """A batch that breaks a rule is refused as a whole, and nothing is done to any of its instances."""
    await histories.queued("order", "a")

    answer = await client.post(f"{INSTANCES}/batch/{what}", json={"instances": ids} if what == "delete" else ids)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 10002)
    assert problem in error["message"]
    assert await _statuses(client) == {"a": "queued"}


async def _until_not_running(client: httpx.AsyncClient) -> None:
    for _ in range(100):
        if (await client.get(f"{INSTANCES}/terminate")).json()["result"] == {"status": "not_running"}:
            return
        # A pass of the loop: nothing else here waits for one.
        await asyncio.sleep(0)
    pytest.fail("the instances are still being terminated")


async def test_all_are_terminated(client: httpx.AsyncClient, histories: Histories) -> None:
    """All that have not ended are terminated in the background, however many; what is asked meanwhile is told so."""
    await histories.complete("order", "c")
    await histories.waiting("order", "s")
    for number in range(150):
        await histories.queued("order", f"q{number}")

    answer = await client.put(f"{INSTANCES}/terminate")

    assert (answer.status_code, answer.json()["result"]) == (200, {"status": "ok"})
    await _until_not_running(client)
    counts = (await client.get("workflows/order")).json()["result"]["instances"]
    assert (counts["terminated"], counts["complete"], sum(counts.values())) == (151, 1, 152)


async def test_termination_goes_on_in_the_next_server(
    client: httpx.AsyncClient, engine: Engine, histories: Histories
) -> None:
    """As long as it goes on, another one is told so; what a server has not done, the next one does."""
    await histories.queued("order", "a")
    await engine.store.run(StartTermination("local", "order", ["queued"]))
    again = await client.put(f"{INSTANCES}/terminate")
    meanwhile = await client.get(f"{INSTANCES}/terminate")

    await Terminations(engine.store, engine.clock).resume()
    await _until_not_running(client)

    assert [answer.json()["result"] for answer in (again, meanwhile)] == [
        {"status": "already_running"},
        {"status": "running"},
    ]
    assert await _statuses(client) == {"a": "terminated"}


async def test_all_of_a_status_are_terminated(client: httpx.AsyncClient, histories: Histories) -> None:
    """With a status only the instances that have it are meant."""
    await histories.waiting("order", "b")
    await histories.queued("order", "a")

    await client.put(f"{INSTANCES}/terminate", params={"status": "waiting"})
    await _until_not_running(client)

    assert await _statuses(client) == {"a": "queued", "b": "terminated"}


@pytest.mark.parametrize("status", ["complete", "rollingBack", "none"])
async def test_other_statuses_cannot_be_terminated(client: httpx.AsyncClient, status: str) -> None:
    """A status that cannot be asked for is refused, with those that can."""
    answer = await client.put(f"{INSTANCES}/terminate", params={"status": status})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 10002)
    assert "queued, running, paused, waitingForPause, waiting" in error["message"]
