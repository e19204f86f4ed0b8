"""What an account has, as the oracle keeps it, and what is said when something of it is asked for."""

from dataclasses import dataclass, field

from tests.model.instance import Instance, Kept
from tests.model.refusals import Refused


@dataclass
class Version:
    """A version of a workflow."""

    id: str
    concurrency: int | None = None
    kept: Kept = field(default_factory=Kept)


@dataclass
class Schedule:
    """A cron expression of a workflow; `known` are its instances that had not ended when it last looked."""

    cron: str
    next_at: int | None
    is_paused: bool = False
    overlap: str = "allow"
    skipped: int = 0
    last_at: int | None = None
    last: Instance | None = None
    known: list[Instance] = field(default_factory=list)


@dataclass
class Workflow:
    """A workflow; `limit` is what its code declares, `versions` are in the order in which they were made."""

    name: str
    row: int
    limit: int | None
    versions: list[Version]
    instances: dict[str, Instance] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    # Whether its slots are counted.
    has_gate: bool = False

    @property
    def newest(self) -> Version:
        """The version that new instances have."""
        return self.versions[-1]

    @property
    def most(self) -> int | None:
        """How many of its instances may run at a time; None: any number."""
        return self.newest.concurrency or self.limit

    def find(self, id: str) -> Instance:
        """Return an instance. Raises InstanceNotFound."""
        if id not in self.instances:
            raise Refused("InstanceNotFound")
        return self.instances[id]


@dataclass(frozen=True)
class Wish:
    """What is said of an instance to create. `id` None: the server makes one."""

    id: str | None
    params: str
    kept: Kept = field(default_factory=Kept)
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Search:
    """Which instances are meant: those of which all is true. Empty, or None: whatever it is."""

    statuses: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    prefix: str | None = None
    trigger: str | None = None
    version: str | None = None
    error: str | None = None
    created_from: int | None = None
    ended_to: int | None = None
    least_ms: int | None = None

    def finds(self, instance: Instance, now: int) -> bool:
        """Tell whether an instance is meant."""
        ended_at = instance.ended_at
        lasted = None if instance.started_at is None else (now if ended_at is None else ended_at) - instance.started_at
        return all(
            (
                not self.statuses or instance.status in self.statuses,
                set(self.labels) <= instance.labels.items(),
                self.prefix is None or instance.id.startswith(self.prefix),
                self.trigger in (None, instance.trigger),
                self.version in (None, instance.version),
                self.error is None or (instance.status == "errored" and (instance.error or ("",))[0] == self.error),
                self.created_from is None or instance.created_at >= self.created_from,
                self.ended_to is None or (ended_at is not None and ended_at <= self.ended_to),
                self.least_ms is None or (lasted is not None and lasted >= self.least_ms),
            )
        )


@dataclass(frozen=True)
class Done:
    """What was answered under an Idempotency-Key: to which request, when and what, and of which workflow."""

    request: str
    at: int
    answer: object
    workflow: int


@dataclass
class Token:
    """A token: what it is sent as, and until when it is good (None: for ever)."""

    secret: str
    until: int | None
    is_revoked: bool = False


@dataclass
class Job:
    """A change of all instances that match."""

    id: str
    verb: str
    changed: int
    passed_over: int
