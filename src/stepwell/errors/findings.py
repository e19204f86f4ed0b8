"""What the test kit finds. Each is an AssertionError too: it fails the test in which it is raised."""

from stepwell.errors.base import StepwellError


class KitFinding(StepwellError, AssertionError):
    """Base of what the test kit finds in a workflow."""


class Diverged(KitFinding):
    """A workflow's code, replayed, went another way than its history."""

    def __init__(self, workflow: str, id: str, text: str) -> None:
        self.workflow, self.id = workflow, id
        super().__init__(text)


class OutcomeChanged(KitFinding):
    """A scenario came to another end when a worker had died in it."""


class StepsDiffer(KitFinding):
    """The step log of an instance is not what a test says."""


class SnapshotMissing(KitFinding):
    """A step log is to be held against a snapshot that is not there."""
