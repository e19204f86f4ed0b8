"""Media: a video that is made ready for the web, and a podcast that is written down."""

import asyncio
import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from stepwell import NonRetryableError, RetryAfter, StepContext, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from stepwell import step as durable

# ---- a video


SEGMENT = timedelta(seconds=6)
# A machine of the cheap kind is taken away after so many segments.
SEGMENTS_PER_MACHINE = 7

TRANSCODING = {
    "retries": {"limit": 50, "delay": "30 seconds", "backoff": "constant"},
    "timeout": "6 hours",
    "heartbeat": "10 minutes",
}


class NoPicture(NonRetryableError):
    """A file that has no video in it."""


class MachineReclaimed(Exception):
    """The machine that a rendition was made on is gone."""


class Height(Enum):
    SMALL = 360
    MIDDLE = 720
    LARGE = 1080


@dataclass(frozen=True)
class Probe:
    length: timedelta
    height: int
    codecs: frozenset[str]


@dataclass(frozen=True)
class Rendition:
    height: Height
    segments: int
    playlist: str


UPLOADS = {
    "talk.mov": Probe(timedelta(minutes=1, seconds=40), 1080, frozenset({"h264", "aac"})),
    "phone.mp4": Probe(timedelta(seconds=20), 480, frozenset({"hevc"})),
    "song.wav": Probe(timedelta(minutes=3), 0, frozenset({"pcm"})),
}


def probe(upload: str) -> Probe:
    found = UPLOADS[upload]
    if not found.height:
        raise NoPicture(f"{upload} has {', '.join(sorted(found.codecs))} and no picture")
    return found


@durable(config=TRANSCODING)
def transcode(upload: str, height: Height, length: timedelta, ctx: StepContext) -> Rendition:
    """Make a rendition segment by segment, going on where the last machine was taken away."""
    segments, first = math.ceil(length / SEGMENT), ctx.heartbeat_details or 0
    for segment in range(first, segments):
        if segment == first + SEGMENTS_PER_MACHINE:
            raise MachineReclaimed(f"after segment {segment} of {segments}")
        ctx.heartbeat(segment + 1)
    return Rendition(height, segments, f"{upload}/{height.value}.m3u8")


def draw_poster(upload: str, at: timedelta) -> bytes:
    return b"\x89PNG" + hashlib.sha256(f"{upload} at {at}".encode()).digest()


class VideoPipeline(WorkflowEntrypoint):
    """Look into an upload, make all renditions at the same time, draw a poster, and publish what was made."""

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> dict[str, Any]:
        upload = event.payload["upload"]
        found = await step.do("probe", probe, upload)
        wanted = [height for height in Height if height.value <= found.height]
        done = 0

        async def make(height: Height) -> Rendition:
            nonlocal done
            rendition = await transcode(upload, height, found.length)
            done += 1
            await step.set_progress({"percent": 100 * done // len(wanted)})
            return rendition

        async with asyncio.TaskGroup() as group:
            renditions = [group.create_task(make(height)) for height in wanted]
            poster = group.create_task(step.do("poster", draw_poster, upload, found.length / 10))

        @step.do("write the manifest")
        async def manifest() -> list[str]:
            return [f"{rendition.result().segments} {rendition.result().playlist}" for rendition in renditions]

        @step.do("store the poster", config={"timeout": "1 minute"})
        def stored() -> str:
            return hashlib.md5(poster.result(), usedforsecurity=False).hexdigest()

        @step.do("publish", depends=[manifest, stored], concurrent=True)
        async def publish(playlists: list[str], picture: str, ctx: StepContext) -> dict[str, Any]:
            return {"playlists": playlists, "poster": picture, "as": f"{ctx['step']['name']}-{ctx['step']['count']}"}

        published: dict[str, Any] = await publish()
        return {**published, "needs_copy": "h264" not in found.codecs}


# ---- a podcast


@dataclass(frozen=True)
class Piece:
    number: int
    starts_at: timedelta
    sound: bytes


@dataclass(frozen=True)
class Passage:
    starts_at: timedelta
    text: str

    def __str__(self) -> str:
        return f"[{self.starts_at}] {self.text}"


@durable(name="download a piece")
def download(episode: str, number: int) -> Piece:
    """Fetch a minute of an episode."""
    return Piece(number, timedelta(minutes=number), f"{episode}#{number}".encode())


@durable(name="transcribe", config={"retries": {"limit": 20, "delay": "5 seconds"}})
async def transcribe(piece: Piece, vocabulary: set[str], ctx: StepContext) -> Passage:
    """Have a piece written down by a service that does not take many at once."""
    if piece.number % 2 and ctx.attempt < 2:
        raise RetryAfter(timedelta(seconds=20), "429 too many requests")
    words = piece.sound.decode().split("#")
    return Passage(piece.starts_at, " ".join(word.upper() if word in vocabulary else word for word in words))


async def look_up_vocabulary(show: str) -> set[str]:
    """Ask a cache of names and terms, which is asleep."""
    await asyncio.Event().wait()
    return {show}


class PodcastTranscript(WorkflowEntrypoint):
    """Download an episode piece by piece into a short queue, from which two writers take what they write down."""

    writers = 2
    cache_seconds = 0.01

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> list[str]:
        episode, minutes = event.payload["episode"], event.payload["minutes"]
        vocabulary = await self.vocabulary(event.payload["show"], step)
        queue: asyncio.Queue[Piece | None] = asyncio.Queue(maxsize=2)
        passages: list[Passage] = []

        async def fill() -> None:
            for number in range(minutes):
                await queue.put(await download(episode, number))
            for _ in range(self.writers):
                await queue.put(None)

        async def write() -> None:
            while (piece := await queue.get()) is not None:
                passages.append(await transcribe(piece, vocabulary))
                step.log(f"{len(passages)} of {minutes} minutes")

        async with asyncio.TaskGroup() as group:
            group.create_task(fill())
            for _ in range(self.writers):
                group.create_task(write())
        return await step.do("put together", self.put_together, passages)

    async def vocabulary(self, show: str, step: WorkflowStep) -> set[str]:
        """Return the words to look out for: those of the cache, or a few if it does not answer soon."""
        try:
            async with asyncio.timeout(self.cache_seconds):
                return await step.do("look up the vocabulary", look_up_vocabulary, show)
        except TimeoutError:
            return await step.do("use the small vocabulary", self.small_vocabulary)

    def small_vocabulary(self) -> set[str]:
        return {"stepwell", "gujarat"}

    async def put_together(self, passages: list[Passage]) -> list[str]:
        return [str(passage) for passage in sorted(passages, key=lambda passage: passage.starts_at)]
