"""The contract of every store: versions of workflows, their settings, and what a PUT makes."""

import pytest

from stepwell.errors import InvalidInput, UnknownScript, VersionNotFound, WorkflowBelongs, WorkflowNotFound
from stepwell.store import Store
from stepwell.store.operations import (
    NO_SETTINGS,
    GetParamsSchema,
    GetWorkflow,
    RegisterWorkflow,
    VersionSettings,
    WorkflowRow,
)
from stepwell.store.workflow_operations import GetVersion, ListVersions, PutWorkflow, VersionRow
from tests.store.scenes import NOW, claim, create, creation, register, worker

FIVE = VersionSettings(steps=5)
NINE = VersionSettings(steps=9)
TWO_AT_ONCE = VersionSettings(concurrency=2)


async def _put(
    store: Store,
    name: str = "orders",
    settings: VersionSettings = FIVE,
    *,
    script: str = "shop",
    class_name: str = "Orders",
    n: int = 1,
) -> WorkflowRow:
    ids = (f"put-{name}", f"put-{name}-version-{n}")
    return await store.run(PutWorkflow("acme", name, script, class_name, *ids, settings, NOW + n))


async def _declare(
    store: Store,
    declared: VersionSettings,
    *,
    sha256: str,
    n: int = 1,
    class_name: str = "Orders",
    name: str = "orders",
) -> WorkflowRow:
    ids = (f"acme-{name}-{n}", f"acme-{name}-version-{n}")
    made = RegisterWorkflow("acme", name, "shop", class_name, sha256, *ids, NOW + n, None, declared)
    return (await store.run(made)).workflow


async def _newest(store: Store, name: str = "orders") -> VersionRow:
    return (await store.run(ListVersions("acme", name, limit=1, offset=0))).rows[0]


async def test_put_makes_a_new_version(store: Store) -> None:
    """A PUT gives a workflow that there is a new version with its settings; the workflow stays the same."""
    before = await register(store)

    after = await _put(store)

    assert (after.id, after.name, after.created_at) == (before.id, "orders", NOW)
    assert (after.version, after.modified_at) == ("put-orders-version-1", NOW + 1)
    assert await store.run(GetVersion("acme", "orders", after.version)) == VersionRow(
        "put-orders-version-1", before.id, "shop", "Orders", NOW + 1, FIVE
    )


async def test_put_makes_a_workflow_of_a_new_name(store: Store) -> None:
    """A class that a worker has loaded can have further names, with the code and the params that it has."""
    await store.run(RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "w", "v", NOW, '{"type":"object"}'))

    made = await _put(store, "orders-eu")

    assert (made.id, made.script, made.class_name) == ("put-orders-eu", "shop", "Orders")
    assert (await store.run(GetParamsSchema("acme", "orders-eu"))).schema == '{"type":"object"}'
    assert (await store.run(GetWorkflow("acme", "orders"))).version == "v"


async def test_put_has_these_settings_and_no_others(store: Store) -> None:
    """What the second PUT does not say is as if it had never been said."""
    await register(store)
    await _put(store, settings=VersionSettings(5, 2, 1_000, 2_000, ("0 * * * *",)))

    await _put(store, settings=VersionSettings(concurrency=3), n=2)

    assert (await _newest(store)).settings == VersionSettings(concurrency=3)


async def test_put_of_a_script_that_nobody_has_loaded_is_refused(store: Store) -> None:
    """The refusal names the scripts that are known, in this account alone; nothing is made."""
    await register(store)
    await store.run(RegisterWorkflow("other", "x", "secret", "X", "aa", "w", "v", NOW))

    with pytest.raises(UnknownScript, match=r'no worker has loaded a script "attic" in this account; there is "shop"$'):
        await _put(store, "orders-eu", script="attic")

    with pytest.raises(WorkflowNotFound):
        await store.run(GetWorkflow("acme", "orders-eu"))


async def test_put_of_a_class_that_the_script_lacks_is_refused(store: Store) -> None:
    """Only classes that are in the script as it is now can be used; those it had before are not."""
    old = RegisterWorkflow("acme", "old", "shop", "Old", "aa", "w1", "v1", NOW, classes=("Old", "Orders"))
    new = RegisterWorkflow("acme", "orders", "shop", "Orders", "bb", "w2", "v2", NOW, classes=("Orders",))
    await store.run(old)
    await store.run(new)

    with pytest.raises(UnknownScript, match=r'the script "shop" has no workflow class "Old"; it has "Orders"$'):
        await _put(store, "orders-eu", class_name="Old")


async def test_put_does_not_take_another_scripts_workflow(store: Store) -> None:
    """A workflow belongs to its script: the refusal names owner and remedy, and changes nothing."""
    before = await register(store)
    await store.run(RegisterWorkflow("acme", "mail", "post", "Mail", "cc", "w", "v", NOW))

    with pytest.raises(WorkflowBelongs, match=r'"orders" belongs to the script "shop", not to "post"; delete'):
        await _put(store, script="post", class_name="Mail")

    assert await store.run(GetWorkflow("acme", "orders")) == before


async def test_schedules_of_an_account_are_counted(store: Store) -> None:
    """An account may have 100 cron expressions; what this PUT replaces does not count."""
    await register(store)
    await _put(store, "a", VersionSettings(schedules=("0 * * * *",) * 60))
    await _put(store, "b", VersionSettings(schedules=("0 * * * *",) * 40))

    with pytest.raises(InvalidInput, match=r"100 cron expressions; the other workflows have 60, and here are 41"):
        await _put(store, "b", VersionSettings(schedules=("1 * * * *",) * 41), n=2)
    await _put(store, "b", VersionSettings(schedules=("1 * * * *",) * 40), n=3)

    assert (await _newest(store, "b")).id == "put-b-version-3"


async def test_schedules_of_an_account_are_as_many_as_a_put_says(store: Store) -> None:
    """How many there may be comes with the operation; the refusal tells it."""
    await register(store)
    await _put(store, "a", VersionSettings(schedules=("0 * * * *",) * 60))

    def put(count: int) -> PutWorkflow:
        settings = VersionSettings(schedules=("0 * * * *",) * count)
        return PutWorkflow("acme", "b", "shop", "Orders", "w", "v", settings, NOW, most_schedules=120)

    with pytest.raises(InvalidInput, match="an account may have 120 cron expressions"):
        await store.run(put(61))
    assert (await store.run(put(60))).name == "b"


async def test_registration_tells_whose_workflow_it_takes(store: Store) -> None:
    """A workflow goes to the script that registers it, and the answer names the one before, if there was another."""
    await register(store)

    async def taken(script: str, n: int) -> str | None:
        ids = ("w", f"v{n}")
        made = await store.run(RegisterWorkflow("acme", "orders", script, "Orders", "aa", *ids, NOW + n))
        assert made.workflow.script == script
        return made.taken_from

    assert [await taken(script, n) for n, script in enumerate(("shop", "store", "store", "shop"))] == [
        None,
        "shop",
        None,
        "store",
    ]


async def test_versions_come_newest_first_in_pages(store: Store) -> None:
    """A list of versions is cut by limit and offset, tells how many there are, and is one workflow's."""
    for n, sha256 in enumerate(("aa", "bb", "cc"), 1):
        await register(store, sha256=sha256, n=n)
    await _declare(store, VersionSettings(), sha256="aa", class_name="Others", name="others")

    page = await store.run(ListVersions("acme", "orders", limit=2, offset=1))
    past = await store.run(ListVersions("acme", "orders", limit=2, offset=3))

    assert [row.id for row in page.rows] == ["acme-orders-version-2", "acme-orders-version-1"]
    assert (page.total, past.rows, past.total) == (3, [], 3)


async def test_unknown_version_is_named(store: Store) -> None:
    """A version of another workflow is as unknown as one that nobody has."""
    await register(store)
    await register(store, "others")

    with pytest.raises(VersionNotFound, match=r'no version "acme-others-version-1" of workflow "orders"'):
        await store.run(GetVersion("acme", "orders", "acme-others-version-1"))
    with pytest.raises(WorkflowNotFound):
        await store.run(ListVersions("acme", "none", limit=1, offset=0))


async def test_claim_has_the_step_limit_of_the_instances_version(store: Store) -> None:
    """An instance keeps the limit of the version that it was created with; None is the default."""
    await register(store)
    await create(store, "before")
    await _put(store)
    await create(store, "five")
    await _put(store, settings=VersionSettings(steps=6), n=2)
    await create(store, "six")

    turns = (await claim(store, await worker(store))).turns

    assert {turn.id: turn.step_limit for turn in turns} == {"before": None, "five": 5, "six": 6}


async def test_claim_names_what_the_workflow_is_made_of(store: Store) -> None:
    """A worker learns script and class with the turn, whatever name a PUT has given."""
    await register(store)
    await _put(store, "orders-eu")
    await store.run(creation("a", workflow="orders-eu"))

    (turn,) = (await claim(store, await worker(store))).turns

    assert (turn.workflow, turn.script, turn.class_name) == ("orders-eu", "shop", "Orders")


async def test_put_outlives_a_restart_of_the_worker(store: Store) -> None:
    """Code that is registered as it was makes no version: what a PUT has set stays."""
    await _declare(store, VersionSettings(steps=3), sha256="aa", n=1)
    await _put(store)

    again = await _declare(store, VersionSettings(steps=3), sha256="aa", n=2)

    assert again.version == "put-orders-version-1"
    assert (await _newest(store)).settings == FIVE


@pytest.mark.parametrize(
    ("declared", "put", "declared_then", "settings"),
    [
        pytest.param(NO_SETTINGS, FIVE, NO_SETTINGS, FIVE, id="kept"),
        pytest.param(NO_SETTINGS, FIVE, NINE, NINE, id="the file wins"),
        pytest.param(NINE, FIVE, NINE, NINE, id="the file wins again"),
        pytest.param(NINE, None, NO_SETTINGS, NO_SETTINGS, id="the file says it no more"),
        pytest.param(NINE, TWO_AT_ONCE, NO_SETTINGS, TWO_AT_ONCE, id="the rest is kept"),
    ],
)
async def test_changed_code_keeps_what_a_put_has_set(
    store: Store,
    declared: VersionSettings,
    put: VersionSettings | None,
    declared_then: VersionSettings,
    settings: VersionSettings,
) -> None:
    """A new version of the code has the settings of a PUT, where the wrangler file says nothing else."""
    await _declare(store, declared, sha256="aa", n=1)
    if put is not None:
        await _put(store, settings=put)

    await _declare(store, declared_then, sha256="bb", n=2)

    newest = await _newest(store)
    assert (newest.id, newest.settings) == ("acme-orders-version-2", settings)


async def test_changed_wrangler_file_makes_a_version(store: Store) -> None:
    """A limit that only the wrangler file changes is a new version too."""
    await _declare(store, VersionSettings(), sha256="aa", n=1)

    await _declare(store, VersionSettings(steps=7), sha256="aa", n=2)

    newest = await _newest(store)
    assert (newest.id, newest.settings.steps) == ("acme-orders-version-2", 7)


async def test_changed_code_is_new_for_all_names_of_its_class(store: Store) -> None:
    """A workflow that a PUT has made gets a version of the new code, with its own settings."""
    await register(store, sha256="aa", n=1)
    made = await _put(store, "orders-eu")
    await _put(store, "orders-us", VersionSettings())

    await register(store, sha256="bb", n=2)
    await register(store, sha256="bb", n=3)

    page = await store.run(ListVersions("acme", "orders-eu", limit=9, offset=0))
    others = await store.run(ListVersions("acme", "orders-us", limit=9, offset=0))
    assert [row.settings for row in page.rows] == [FIVE, FIVE]
    assert page.rows[1].id == made.version
    assert page.rows[0].id not in (made.version, others.rows[0].id, "acme-orders-version-2")


async def test_class_of_a_put_stays_until_the_files_say_another(store: Store) -> None:
    """Neither a restart nor new code of the class that the files name brings that class back; its own code counts."""
    await _declare(store, NO_SETTINGS, sha256="aa", n=1)
    await _declare(store, NO_SETTINGS, sha256="aa", n=1, class_name="Returns", name="returns")
    await _put(store, class_name="Returns")

    await _declare(store, NO_SETTINGS, sha256="aa", n=2)
    after_restart = await _newest(store)
    await _declare(store, NO_SETTINGS, sha256="bb", n=3)
    after_change = await _newest(store)
    await _declare(store, NO_SETTINGS, sha256="bb", n=3, class_name="Returns", name="returns")
    after_its_own = await _newest(store)
    await _declare(store, NINE, sha256="bb", n=4)
    after_new_words = await _newest(store)

    assert [after_restart.id, after_change.id] == ["put-orders-version-1"] * 2
    assert (after_its_own.id != "put-orders-version-1", after_its_own.class_name) == (True, "Returns")
    assert (after_new_words.class_name, after_new_words.settings) == ("Orders", NINE)


async def test_schema_of_the_files_class_is_not_put_on_the_class_of_a_put(store: Store) -> None:
    """The params of a workflow are held against the class that runs."""
    await register(store, sha256="aa", n=1)
    await _declare(store, NO_SETTINGS, sha256="aa", class_name="Returns", name="returns")
    await _put(store, class_name="Returns")

    await store.run(
        RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "acme-orders", "v2", NOW + 2, '{"type":"string"}')
    )

    assert (await store.run(GetParamsSchema("acme", "orders"))).schema is None
