"""The contract of every store: the settings of an account, and the event triggers of its scripts."""

import pytest

from stepwell.errors import InvalidInput
from stepwell.store import Store
from stepwell.store.account_operations import (
    AccountSettings,
    ChangeAccountSettings,
    DeleteTriggers,
    GetAccountSettings,
    GetTriggers,
    MergeTriggers,
    ReplaceTriggers,
    Trigger,
    TriggerFilter,
    TriggerTarget,
)
from stepwell.store.operations import Operation
from tests.store.scenes import NOW, register

TARGET = TriggerTarget(type="workflow", workflow_name="orders", script_name="shop")
PUSHED = Trigger(type="cf.artifacts.repo.pushed", targets=[TARGET])
PUSHED_A = Trigger(type="cf.artifacts.repo.pushed", filter=TriggerFilter(repo_name="a"), targets=[TARGET])
FORKED = Trigger(type="cf.artifacts.repo.forked", targets=[TARGET])


def _replace(*triggers: Trigger, account: str = "acme", script: str = "shop") -> ReplaceTriggers:
    return ReplaceTriggers(account, script, list(triggers), NOW)


async def test_account_has_no_settings_at_first(store: Store) -> None:
    """What nobody has set is None, which is the default."""
    assert await store.run(GetAccountSettings("acme")) == AccountSettings(None, None)


async def test_settings_change_one_by_one(store: Store) -> None:
    """What a change does not name stays; other accounts keep theirs."""
    await store.run(ChangeAccountSettings("acme", AccountSettings(1_000, 2_000)))

    await store.run(ChangeAccountSettings("acme", AccountSettings(None, 0)))
    changed = await store.run(ChangeAccountSettings("acme", AccountSettings(3_000, None)))

    assert changed == AccountSettings(3_000, 0)
    assert await store.run(GetAccountSettings("acme")) == changed
    assert await store.run(GetAccountSettings("other")) == AccountSettings(None, None)


async def test_triggers_are_replaced_as_a_whole(store: Store) -> None:
    """A script has the triggers that were put last, in their order; another script and account have their own."""
    await register(store)
    await store.run(_replace(PUSHED, FORKED))

    put = await store.run(_replace(PUSHED_A, PUSHED))

    assert put == [PUSHED_A, PUSHED]
    assert await store.run(GetTriggers("acme", "shop")) == [PUSHED_A, PUSHED]
    assert await store.run(GetTriggers("acme", "post")) == []
    assert await store.run(GetTriggers("other", "shop")) == []


async def test_triggers_are_merged_by_type_and_filter(store: Store) -> None:
    """A trigger replaces those of its type and filter, and leaves the others."""
    await register(store)
    await register(store, "mail")
    await store.run(_replace(PUSHED, PUSHED_A, FORKED))
    other = Trigger(
        type="cf.artifacts.repo.pushed",
        targets=[TriggerTarget(type="workflow", workflow_name="mail", script_name="shop")],
    )

    merged = await store.run(MergeTriggers("acme", "shop", [other], NOW))

    assert merged == [PUSHED_A, FORKED, other]
    assert await store.run(GetTriggers("acme", "shop")) == merged


async def test_deleted_triggers_are_counted(store: Store) -> None:
    """Deleting tells how many there were; none is left."""
    await register(store)
    await store.run(_replace(PUSHED, FORKED))

    counts = [await store.run(DeleteTriggers("acme", "shop")) for _ in range(2)]

    assert counts == [2, 0]
    assert await store.run(GetTriggers("acme", "shop")) == []


@pytest.mark.parametrize(
    ("workflow", "script", "account"),
    [
        pytest.param("none", "shop", "acme", id="workflow"),
        pytest.param("orders", "post", "acme", id="script"),
        pytest.param("orders", "shop", "other", id="account"),
    ],
)
async def test_unknown_target_is_refused(store: Store, workflow: str, script: str, account: str) -> None:
    """A target has to be a workflow of that script; what was there stays."""
    await register(store)
    await store.run(_replace(PUSHED))
    target = TriggerTarget(type="workflow", workflow_name=workflow, script_name=script)
    wrong = [Trigger(type="cf.artifacts.repo.forked", targets=[TARGET, target])]

    kinds: list[type[ReplaceTriggers] | type[MergeTriggers]] = [ReplaceTriggers, MergeTriggers]
    for kind in kinds:
        operation: Operation[list[Trigger]] = kind(account, "shop", wrong, NOW)
        with pytest.raises(InvalidInput, match=rf'"{workflow}" of the script "{script}" does not exist'):
            await store.run(operation)

    assert await store.run(GetTriggers("acme", "shop")) == [PUSHED]


async def test_triggers_of_a_script_are_bounded(store: Store) -> None:
    """Merging adds up to 100 triggers, and no more."""
    await register(store)
    many = [
        Trigger(type="cf.artifacts.repo.pushed", filter=TriggerFilter(repo_name=f"r{n}"), targets=[TARGET])
        for n in range(100)
    ]
    await store.run(_replace(*many))

    with pytest.raises(InvalidInput, match=r"may have 100 event triggers, and would have 101"):
        await store.run(MergeTriggers("acme", "shop", [PUSHED], NOW))

    merged = await store.run(MergeTriggers("acme", "shop", many[:50], NOW))
    assert len(merged) == 100
