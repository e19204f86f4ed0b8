"""What an instance, or several, made of a node: laid over its drawing."""

from dataclasses import dataclass

# What a mark may say of a node; of an instance, the same words.
STATUSES = (
    "queued",
    "running",
    "waiting",
    "paused",
    "waitingForPause",
    "rollingBack",
    "complete",
    "errored",
    "terminated",
)


NOT_REACHED = "notReached"


@dataclass(frozen=True, slots=True)
class Mark:
    """How a node stands: one of the statuses, or not reached; how many runs there were, and how many of them failed.

    `rollback` is the status of what undoes a step, if that was begun.
    """

    status: str
    runs: int = 1
    failed: int = 0
    rollback: str | None = None

    def __str__(self) -> str:
        """Say it in words."""
        if self.status == NOT_REACHED:
            return "not reached"
        failed = f", {self.failed} failed" if self.failed else ""
        runs = self.status if self.runs == 1 else f"{self.runs} runs{failed}"
        return runs if self.rollback is None else f"{runs}, rollback {self.rollback}"
