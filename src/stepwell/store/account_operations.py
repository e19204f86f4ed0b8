"""What can be asked of a store about an account: its settings, and the event triggers of its scripts."""

import msgspec

from stepwell.store.operations import Operation


class AccountSettings(msgspec.Struct, frozen=True, array_like=True):
    """How long an account keeps instances after their end, in milliseconds; None: the default."""

    success_retention_ms: int | None = None
    error_retention_ms: int | None = None


class GetAccountSettings(Operation[AccountSettings], frozen=True):
    """Return the settings of an account; one that nobody has changed has the defaults."""

    account: str


class ChangeAccountSettings(Operation[AccountSettings], frozen=True):
    """Change the settings that are not None; answer all of them as they are then."""

    account: str
    changes: AccountSettings


class TriggerFilter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which of the events of a type are meant. None: any."""

    namespace: str | None = None
    repo_name: str | None = None


class TriggerTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The workflow that an event starts."""

    type: str
    workflow_name: str
    script_name: str


class Trigger(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An event that starts workflows."""

    type: str
    filter: TriggerFilter | None = None
    targets: list[TriggerTarget]


class GetTriggers(Operation[list[Trigger]], frozen=True):
    """Return the triggers of a script; empty if there are none."""

    account: str
    script: str


class ReplaceTriggers(Operation[list[Trigger]], frozen=True):
    """Let a script have these triggers and no others; answer them. Raises InvalidInput for an unknown target."""

    account: str
    script: str
    triggers: list[Trigger]
    now: int


class MergeTriggers(Operation[list[Trigger]], frozen=True):
    """Add triggers, which replace those of the same type and filter; answer all of them, the new ones last.

    Raises InvalidInput for an unknown target, or if there were too many triggers then.
    """

    account: str
    script: str
    triggers: list[Trigger]
    now: int


class DeleteTriggers(Operation[int], frozen=True):
    """Delete the triggers of a script; answer how many there were."""

    account: str
    script: str
