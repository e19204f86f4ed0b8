"""What a line of the log is about, beside its text: the name of what happened, and what it happened to.

`logger.info("turn of %s/%s was lost", ..., extra=fact("turn.lost", workflow=..., instance=...))`: people read the
text, programs the name and the fields. docs/reference/log.md lists all, made from the calls themselves.
"""

from typing import Protocol


def fact(event: str, **fields: object) -> dict[str, object]:
    """Return what a call of a logger is given as `extra`; fields that are None are not known."""
    return {"event": event, "fields": {name: value for name, value in fields.items() if value is not None}}


class Named(Protocol):
    """What names an instance: a claim, or a row."""

    @property
    def account(self) -> str:
        """Whose it is."""

    @property
    def workflow(self) -> str:
        """The name of its workflow."""

    @property
    def id(self) -> str:
        """Its id."""


def fact_of(instance: Named, event: str, **fields: object) -> dict[str, object]:
    """Return the same of something that happened to an instance."""
    return fact(event, account=instance.account, workflow=instance.workflow, instance=instance.id, **fields)
