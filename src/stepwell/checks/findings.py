"""What a check finds, and the names of the rules. The names are stable: people write them into their sources."""

from dataclasses import dataclass
from pathlib import Path

RULES = {
    "syntax": "the file is no Python that this interpreter can read",
    "not-awaited": "a step, sleep or wait is called and not awaited, so it does not happen",
    "step-never-called": "a decorated step is never called, so it never runs",
    "unknown-parameter": "a parameter of a decorated step names no step",
    "blocking-call": "a call that blocks, in code that runs on the event loop",
    "effect-outside-step": "something with an effect happens outside of steps, so every replay does it again",
    "plain-sleep": "asyncio.sleep outside of steps, which every replay sleeps again",
    "milliseconds": "a number that looks like seconds, where milliseconds are meant",
    "unstable-name": "a name made of random values or the time of day, which another replay does not find again",
    "unstable-branch": "a branch taken by random values or the time of day, which another replay may not take",
    "unrecorded-timeout": "asyncio.wait with a timeout outside of steps, whose outcome is not recorded",
    "forgotten-f": "a name with {braces} and no f before it, so it never differs",
    "step-name": "a name that no step can have",
    "step-config": "a config that no step can have",
    "duration": "a text that is no duration",
    "event-type": "an event type that no event can have, for example with a dot",
    "event-changed": "run changes its event, which every replay gets as it was",
    "finally-in-run": "a finally in run that does something: it runs each time the instance is put to sleep, too",
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place where a rule is broken: line and column count from 1; the message names thing, value and remedy."""

    path: Path
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        """Return it as compilers do: place, rule, message. What a terminal would obey is escaped."""
        text = f"{self.path}:{self.line}:{self.column}: {self.rule}: {self.message}"
        return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
