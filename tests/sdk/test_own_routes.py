"""What only a Stepwell server has, by both clients."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from stepwell.cli.stores import with_store
from stepwell.sdk import Conflict, NotAllowed, NotFound
from stepwell.sdk.models import ErrorText
from stepwell.sdk.own_models import Fact as FoundFact
from stepwell.sdk.own_models import FoundInstance, InstanceStatus, Job, LabelledInstance, Rate
from stepwell.store.fact_operations import Fact, NoteFacts
from tests.crash.server import store_of
from tests.sdk.asked import AnyClient, ask, close
from tests.sdk.places import KINDS

_numbers = count()
PATIENCE_S = 50


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[AnyClient]:
    """A client of each kind, of a server that asks for a token."""
    client = await asyncio.to_thread(request.getfixturevalue("servers").client, "serve", request.param)
    yield client
    await close(client)


async def _waiting(client: AnyClient, labels: dict[str, str]) -> str:
    """Return the id of a new order that waits for its approval."""
    id = f"own-{next(_numbers)}"
    await ask(client.stepwell.instances.create, "order", instance_id=id, params={"n": 1}, labels=labels)
    await _until(lambda: ask(client.stepwell.instances.why, "order", id), lambda why: _types(why) == ["waitForEvent"])
    return id


async def _until(look: Any, is_so: Any) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so(found := await look()):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)
    return found


def _types(why: Any) -> list[str]:
    return [reason["type"] for reason in why.reasons]


async def test_instance_with_labels_is_found_by_them(client: AnyClient) -> None:
    """In its workflow and in all, with what it does now."""
    label = f"who=ann-{next(_numbers)}"
    created = await ask(client.stepwell.instances.create, "order", labels=dict([label.split("=")]), params={"n": 1})
    await _until(
        lambda: ask(client.stepwell.instances.get, "order", created.id), lambda found: found.status == "waiting"
    )

    search = {"label": [label], "status": ["waiting", "running"]}
    (found,) = await ask(client.stepwell.instances.search, "order", search)
    (same,) = await ask(client.stepwell.instances.search, None, search, direction="asc", per_page=1)
    none = await ask(client.stepwell.instances.search, "order", {**search, "prefix": "nobody"})

    assert isinstance(created, LabelledInstance)
    assert isinstance(found, FoundInstance)
    assert found.labels == created.labels == dict([label.split("=")])
    assert found.current is not None
    assert (found.id, found.current.type, found.current.event_type) == (created.id, "waitForEvent", "approved")
    assert (same.id, same.workflow_name, none) == (created.id, "order", [])


async def test_status_and_log_are_read(client: AnyClient) -> None:
    """The value itself, labels and progress; each line that the code said."""
    id = await _waiting(client, {"who": "bob"})
    await ask(client.workflows.instances.send_event, "order", id, "approved", [1, None])
    await ask(client.workflows.instances.wait, "order", id, timeout=PATIENCE_S)

    status = await ask(client.stepwell.instances.get, "order", id)
    lines = await ask(client.stepwell.instances.logs, "order", id)
    why = await ask(client.stepwell.instances.why, "order", id)

    assert isinstance(status, InstanceStatus)
    assert (status.status, status.output, status.labels) == ("complete", [1, None], {"who": "bob"})
    assert status.progress is not None
    assert status.progress.value == {"charged": False}
    assert [(line.text, line.step, line.level) for line in lines] == [("an order came", None, "stdout")]
    assert await ask(client.stepwell.instances.logs, "order", id, after=lines[-1].n) == []
    assert (why.reasons, why.end is not None) == ([], True)


async def test_steps_are_decided_by_hand(client: AnyClient) -> None:
    """A wait gets a payload, or fails; what does not fit is refused."""
    own = client.stepwell.instances
    one, other = await _waiting(client, {}), await _waiting(client, {})

    decided = await ask(own.complete_step, "order", one, "approval-1", {"by": "hand"}, "waitForEvent")
    await ask(own.fail_step, "order", other, "approval-1", ErrorText(name="Refused", message="no"), "waitForEvent")
    ended = await ask(client.workflows.instances.wait, "order", one, timeout=PATIENCE_S)
    failed = await ask(client.workflows.instances.wait, "order", other, timeout=PATIENCE_S)

    assert (decided.step, decided.type, decided.action) == ("approval-1", "waitForEvent", "complete")
    assert (ended.status, ended.output) == ("complete", '{"by":"hand"}')
    assert (failed.status, failed.error) == ("errored", ErrorText(name="Refused", message="no"))
    with pytest.raises((Conflict, NotFound)):
        await ask(own.retry_step, "order", one, "charge-1")
    with pytest.raises((Conflict, NotFound)):
        await ask(own.skip_sleep, "order", one, "nap-1")
    with pytest.raises(Conflict):
        await ask(own.resume_rollback, "order", one)


async def test_job_changes_all_that_match(client: AnyClient) -> None:
    """It is begun, looked at until it is complete, and listed."""
    label = f"who=job-{next(_numbers)}"
    ids = [await _waiting(client, dict([label.split("=")])) for _ in range(2)]

    begun = await ask(client.stepwell.jobs.start, "terminate", "order", {"label": [label]})
    job = await _until(lambda: ask(client.stepwell.jobs.get, begun.id), lambda job: job.status == "complete")
    cancelled = await ask(client.stepwell.jobs.cancel, begun.id)

    assert isinstance(begun, Job)
    assert (job.action, job.workflow_name, job.done, job.failed) == ("terminate", "order", 2, 0)
    assert cancelled.status == "complete"
    assert begun.id in [job.id for job in await ask(client.stepwell.jobs.list, per_page=1)]
    for id in ids:
        assert (await ask(client.workflows.instances.get, "order", id)).status == "terminated"


async def test_limits_are_set_and_taken_back(client: AnyClient) -> None:
    """Those of the account, of a workflow, and those that steps share."""
    limits = client.stepwell.limits

    limited = await ask(limits.set_account, 1000)
    shared = await ask(limits.share, "openai", concurrency=8, rate=Rate(limit=5, period_ms=1000))
    all_of_them = await ask(limits.get)
    unlimited = await ask(limits.set_account, None)
    without = await ask(limits.unshare, "openai")

    assert (limited.concurrency, unlimited.concurrency) == (1000, None)
    assert (shared.name, shared.concurrency, shared.rate) == ("openai", 8, Rate(limit=5, period_ms=1000))
    assert [limit.name for limit in all_of_them.shared] == ["openai"]
    assert without.shared == []
    assert (await ask(limits.of_workflow, "order")).workflow_name == "order"


async def test_schedule_is_paused_resumed_and_run(client: AnyClient) -> None:
    """A schedule is named by its expression, whatever signs that has."""
    schedules = client.stepwell.schedules

    (listed,) = await ask(schedules.list, "order")
    paused = await ask(schedules.change, "order", "0 9 * * *", paused=True, time_zone="Europe/Berlin")
    resumed = await ask(schedules.change, "order", "0 9 * * *", paused=False, time_zone="UTC")
    created = await ask(schedules.run, "order", "0 9 * * *")

    assert (listed.cron, len(listed.next), paused.time_zone) == ("0 9 * * *", 5, "Europe/Berlin")
    assert (paused.next, paused.paused_on is None, resumed.paused_on) == ([], False, None)
    assert (await ask(schedules.get, "order", "0 9 * * *")).time_zone == "UTC"
    assert created.id.startswith("manual-")
    with pytest.raises(NotFound):
        await ask(schedules.get, "order", "1 9 * * *")


async def test_log_is_followed_to_the_end(client: AnyClient) -> None:
    """What was said before, what is said then, and no more when the instance has ended."""
    id = await _waiting(client, {})
    own = client.stepwell.instances

    following = asyncio.create_task(ask(own.follow_logs, "order", id))
    await asyncio.sleep(0)
    await ask(client.workflows.instances.send_event, "order", id, "approved", 1)
    lines = await following

    assert [line.text for line in lines] == ["an order came"]
    assert await ask(own.follow_logs, "order", id, after=lines[-1].n) == []
    assert await ask(own.follow_logs, "order", id, step="charge-1") == []
    with pytest.raises(NotFound):
        await ask(own.follow_logs, "order", "nobody")


async def test_audit_log_asks_for_a_permission_of_its_own(client: AnyClient) -> None:
    """A token that may write may not read who else has written; nothing is asked again."""
    with pytest.raises(NotAllowed, match="needs audit"):
        await ask(client.stepwell.audit.list, action="instance.pause")


@pytest.mark.parametrize("kind", KINDS)
async def test_audit_log_is_read(request: pytest.FixtureRequest, kind: str) -> None:
    """By a server that asks for no token everybody may; moments are datetimes."""
    client = await asyncio.to_thread(request.getfixturevalue("servers").client, "dev", kind)
    await ask(client.stepwell.limits.set_account, 1_000)

    (entry, *_) = await ask(client.stepwell.audit.list, action="account.limit", per_page=1)
    later = await ask(client.stepwell.audit.list, since=entry.at + timedelta(days=1))

    assert (entry.who, entry.way, entry.detail) == ("local", "open", {"concurrency": 1_000})
    assert later == []
    await close(client)


@pytest.mark.parametrize("kind", KINDS)
async def test_facts_are_read(request: pytest.FixtureRequest, kind: str) -> None:
    """Page by page, the latest first; moments are datetimes."""
    servers = request.getfixturevalue("servers")
    client = await asyncio.to_thread(servers.client, "dev", kind)
    store = store_of(servers.running["dev"].folder / "data" / "stepwell.db")
    workflow = f"noted-{kind}"
    noted = [
        Fact(n, "warning", "turn.lost", f"no. {n}", "web-1:1", "worker 1", "local", workflow, f"i-{n % 2}")
        for n in range(5)
    ]
    await asyncio.to_thread(with_store, store, lambda opened: opened.run(NoteFacts(noted)))

    facts = await ask(client.stepwell.facts.list, workflow_name=workflow, per_page=2)
    which = {"event": "turn.lost", "workflow_name": workflow, "instance_id": "i-1", "process": "worker 1"}
    few = await ask(client.stepwell.facts.list, **which)
    others = [await ask(client.stepwell.facts.list, **{**which, name: "other"}) for name in which]

    assert [fact.message for fact in facts] == ["no. 4", "no. 3", "no. 2", "no. 1", "no. 0"]
    assert facts[0] == FoundFact(
        id=facts[0].id,
        at=datetime.fromtimestamp(0.004, UTC),
        level="warning",
        event="turn.lost",
        message="no. 4",
        host="web-1:1",
        process="worker 1",
        account="local",
        workflow_name=workflow,
        instance_id="i-0",
    )
    assert [fact.message for fact in few] == ["no. 3", "no. 1"]
    assert others == [[], [], [], []]
    await close(client)


async def test_history_tree_and_hosts_are_read(client: AnyClient) -> None:
    """Each record with its kind and its step; the instance itself is the root of its tree."""
    id = await _waiting(client, {})
    own = client.stepwell

    records = await ask(own.instances.history, "order", id)
    behind = await ask(own.instances.history, "order", id, after=records[2].seq)
    chosen = await ask(own.instances.history, "order", id, kinds=["step_succeeded"])
    tree = await ask(own.instances.tree, "order", id)
    said = await ask(own.instances.attributes, "order", id, step="charge-1")
    store = await ask(own.hosts.get)

    assert (records[0].seq, records[0].kind) == (1, "created")
    assert behind == records[3:]
    assert [record.step for record in chosen] == ["charge-1", "film-1"]
    assert ([(one.id, one.depth) for one in tree.instances], tree.is_whole) == ([(id, 0)], True)
    assert [one.attributes for one in said.attempts] == [{"cents": 1_200, "bank": "mine"}]
    assert (said.totals, said.is_whole) == ({"cents": 1_200}, True)
    assert [host.state for host in store.hosts] == ["alive"]
    assert (store.database.kind, store.waiting.due) == ("sqlite", 0)
