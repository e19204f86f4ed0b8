"""What is another thing at each replay, by what it comes from."""

from enum import StrEnum


class Kind(StrEnum):
    """Where something that is not the same again comes from, in words."""

    CLOCK = "the time of day"
    RANDOM = "a random value"
    SET = "the order of a set, which is another one in each process"
    FILES = "the files of a folder, and the order in which they are listed"
    ENVIRONMENT = "the environment of the process"
    STATE = "state that the process keeps from one turn to the next"
    COMPLETION = "the order in which tasks have ended"
    THREAD = "what a thread does"
    TIMER = "a timer of the code's own"
    OUTSIDE = "something that is read outside of steps"
    CODE = "other code than before"

    @property
    def remedy(self) -> str:
        """What to do instead, as a sentence."""
        return _REMEDIES[self]


_REMEDIES = {
    Kind.CLOCK: "Take the time from `event.timestamp`, or ask for it in a step.",
    Kind.RANDOM: "Draw it in a step, whose result is on record.",
    Kind.SET: "Go through `sorted(...)` of it.",
    Kind.FILES: "List them in a step, whose result is on record.",
    Kind.ENVIRONMENT: "Take it from `event.payload`, or ask for it in a step.",
    Kind.STATE: "Keep it in variables of `run`, or in the result of a step.",
    Kind.COMPLETION: "Go through the tasks in the order in which they were begun.",
    Kind.THREAD: "Do it in a step, whose result is on record.",
    Kind.TIMER: "Use `await step.sleep(name, duration)`, which is on record.",
    Kind.OUTSIDE: "Read it in a step, whose result is on record.",
    Kind.CODE: "Let what has begun go the old way: `if step.patched(name)`.",
}

# Calls, by what they mean with imports followed.
CALLS = {
    "datetime.date.today": Kind.CLOCK,
    "datetime.datetime.now": Kind.CLOCK,
    "datetime.datetime.today": Kind.CLOCK,
    "datetime.datetime.utcnow": Kind.CLOCK,
    "time.monotonic": Kind.CLOCK,
    "time.perf_counter": Kind.CLOCK,
    "time.time": Kind.CLOCK,
    "time.time_ns": Kind.CLOCK,
    "id": Kind.RANDOM,
    "os.getpid": Kind.RANDOM,
    "os.urandom": Kind.RANDOM,
    "uuid.uuid1": Kind.RANDOM,
    "uuid.uuid4": Kind.RANDOM,
}
MODULES = {"random.": Kind.RANDOM, "secrets.": Kind.RANDOM}
# Seeded, they give the same again.
STABLE = {"random.Random", "random.seed"}

# What may well be the same again, and is looked for only where something was not.
LIKELY = {
    "asyncio.as_completed": Kind.COMPLETION,
    "asyncio.sleep": Kind.TIMER,
    "asyncio.timeout": Kind.TIMER,
    "asyncio.to_thread": Kind.THREAD,
    "asyncio.wait": Kind.COMPLETION,
    "asyncio.wait_for": Kind.TIMER,
    "glob.glob": Kind.FILES,
    "glob.iglob": Kind.FILES,
    "open": Kind.OUTSIDE,
    "os.getenv": Kind.ENVIRONMENT,
    "os.listdir": Kind.FILES,
    "os.scandir": Kind.FILES,
    "os.walk": Kind.FILES,
    "socket.gethostname": Kind.ENVIRONMENT,
    "time.gmtime": Kind.CLOCK,
    "time.localtime": Kind.CLOCK,
    "time.strftime": Kind.CLOCK,
}
LIKELY_MODULES = {
    "concurrent.": Kind.THREAD,
    "httpx.": Kind.OUTSIDE,
    "platform.": Kind.ENVIRONMENT,
    "requests.": Kind.OUTSIDE,
    "subprocess.": Kind.OUTSIDE,
    "threading.": Kind.THREAD,
    "urllib.request.": Kind.OUTSIDE,
}
# Methods, of whatever they are called on.
LIKELY_METHODS = {
    "iterdir": Kind.FILES,
    "glob": Kind.FILES,
    "rglob": Kind.FILES,
    "read_bytes": Kind.OUTSIDE,
    "read_text": Kind.OUTSIDE,
    "run_in_executor": Kind.THREAD,
}


def kind_of_call(name: str) -> Kind | None:
    """Return what a call brings that is certainly not the same again; None: it may be."""
    if name in STABLE:
        return None
    return CALLS.get(name) or _by_module(name, MODULES)


def likely_kind_of_call(name: str) -> Kind | None:
    """Return what a call brings that may not be the same again."""
    return kind_of_call(name) or LIKELY.get(name) or _by_module(name, LIKELY_MODULES)


def _by_module(name: str, kinds: dict[str, Kind]) -> Kind | None:
    return next((kind for module, kind in kinds.items() if name.startswith(module)), None)
