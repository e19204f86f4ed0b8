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


@dataclass(frozen=True)
class Declared:
    """What the code of a workflow declares of its instances: how many run, and how many begin in so many milliseconds.

    None: any number.
    """

    limit: int | None = None
    per_key: int | None = None
    rate: tuple[int, int] | None = None
    rate_per_key: tuple[int, int] | None = None


@dataclass
class Workflow:
    """A workflow; `versions` are in the order in which they were made."""

    name: str
    row: int
    declared: Declared
    versions: list[Version]
    script: str = "tests"
    instances: dict[str, Instance] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    # Whether its slots are counted.
    has_gate: bool = False
    # When each key had its last turn to begin, as numbers that grow; a new one comes behind those that wait.
    turns: dict[str, int] = field(default_factory=dict)
    last_turn: int = 0
    # When instances began, and of which key.
    starts: list[tuple[int, str]] = field(default_factory=list)

    @property
    def is_limited(self) -> bool:
        """Whether anything of it is limited, but for what the account may run."""
        return self.most is not None or self.declared != Declared()

    @property
    def newest(self) -> Version:
        """The version that new instances have."""
        return self.versions[-1]

    @property
    def most(self) -> int | None:
        """How many of its instances may run at a time; None: any number."""
        return self.newest.concurrency or self.declared.limit

    def queue(self, key: str) -> list[Instance]:
        """Return those of a key that wait for a slot, the next one first."""
        waiting = [each for each in self.instances.values() if each.queued_at is not None and each.key == key]
        return sorted(waiting, key=lambda each: (each.queued_at, each.row))

    def may_begin_at(self, key: str) -> int:
        """Return from when on the rates let another instance of a key begin."""
        of_key = [at for at, its in self.starts if its == key]
        every = [at for at, _ in self.starts]
        limits = ((self.declared.rate, every), (self.declared.rate_per_key, of_key))
        return max((at[-rate[0]] + rate[1] for rate, at in limits if rate and len(at) >= rate[0]), default=0)

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
    """A change of all instances that matched when it began, the newest first; `upto` is the row that it has got to.

    It has to wait, until `again_at`, where it restarts more than may be created in a second.
    """

    id: str
    verb: str
    workflow: str | None
    search: Search
    began_at: int
    upto: int
    again_at: int | None = None
    changed: int = 0
    passed_over: int = 0
    has_ended: bool = False


@dataclass
class Rate:
    """How many instances may be created in a second; `recent` is when the last ones were."""

    most: int
    recent: list[int] = field(default_factory=list)

    def has_room(self, count: int, now: int) -> bool:
        """Tell whether so many more may be."""
        return sum(at > now - 1_000 for at in self.recent) + count <= self.most
