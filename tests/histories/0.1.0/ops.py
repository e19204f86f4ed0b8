"""Operations: a server that is set up in a cloud, and an incident in the night."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import IntEnum
from ipaddress import IPv4Network
from typing import Any, NotRequired, TypedDict
from uuid import NAMESPACE_DNS, UUID, uuid5

from stepwell import (
    NonRetryableError,
    RetryAfter,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
    WorkflowTimeoutError,
)
from stepwell import step as durable

# ---- a server in a cloud


class QuotaExceeded(Exception):
    """A region has no room for another server."""

    def __init__(self, region: str, quota: int) -> None:
        super().__init__(f"all {quota} servers of {region} are taken")
        self.region = region
        self.quota = quota


class SetupFailed(NonRetryableError):
    """A server that was set up does not do what it should."""


class Wanted(TypedDict):
    name: str
    regions: list[str]
    image: NotRequired[str]


@dataclass(frozen=True)
class Server:
    id: UUID
    region: str
    address: str
    tags: frozenset[str]


QUOTAS = {"fra": 0, "par": 0, "ams": 4, "hel": 2}
CLOUD = {
    "retries": {"limit": 30, "delay": "20 seconds", "backoff": "constant"},
    "retry_on": [RetryAfter, ConnectionError],
    "timeout": "1 minute",
}


@durable(name="create a server", config=CLOUD)
def create_server(name: str, region: str, ctx: StepContext) -> UUID:
    """Order a server; the cloud limits how often it is asked."""
    if ctx.attempt < 2:
        raise RetryAfter(17, "429 rate limit of the cloud")
    if not QUOTAS[region]:
        raise QuotaExceeded(region, QUOTAS[region])
    return uuid5(NAMESPACE_DNS, f"{name}.{region}")


@durable(name="wait until it runs", config=CLOUD)
async def server_state(id: UUID, region: str, ctx: StepContext) -> Server:
    """Return a server as soon as it runs: booting takes a few looks."""
    if ctx.attempt < 4:
        raise RetryAfter(timedelta(minutes=1), f"{id} is booting")
    network = IPv4Network("10.8.0.0/16")
    return Server(id, region, str(network[256 * len(region) + QUOTAS[region]]), frozenset({region, "web"}))


@durable(name="install")
async def install(server: Server, image: str) -> str:
    """Put an image on a server."""
    try:
        if image == "broken":
            raise OSError(5, "disk is read-only")
    except OSError as error:
        raise SetupFailed(f"{image} on {server.address}") from error
    return f"{image} on {server.address}"


class ServerProvisioning(WorkflowEntrypoint[Wanted]):
    """Order a server in the first region with room, wait for it, install an image, and give it back if that fails."""

    async def run(self, event: WorkflowEvent[Wanted], step: WorkflowStep) -> dict[str, Any]:
        wanted = event.payload
        id, region, full = await self.find_room(wanted, step)
        server = await server_state(id, region)
        try:
            installed = await install(server, wanted.get("image", "debian"))
        except SetupFailed as error:
            await step.do("delete the server", self.delete, server.id)
            cause = error.__cause__
            return {"ready": False, "why": str(error), "errno": cause.errno if isinstance(cause, OSError) else None}

        @step.do(f"point {wanted['name']} to it", config={"retries": {"limit": 3, "delay": "10 seconds"}})
        async def name_it() -> str:
            return f"{wanted['name']}.example.com A {server.address}"

        record = await name_it()
        return {"ready": True, "installed": installed, "record": record, "full": full, "tags": sorted(server.tags)}

    async def find_room(self, wanted: Wanted, step: WorkflowStep) -> tuple[UUID, str, list[str]]:
        full: list[QuotaExceeded] = []
        for region in wanted["regions"]:
            try:
                return await create_server(wanted["name"], region), region, [error.region for error in full]
            except QuotaExceeded as error:
                step.log(f"{error.region} is full, its quota is {error.quota}")
                full.append(error)
        raise ExceptionGroup("no region has room", full)

    async def delete(self, id: UUID) -> str:
        return f"deleted {id}"


# ---- an incident in the night


class Severity(IntEnum):
    MINOR = 1
    MAJOR = 2


@dataclass
class Alert:
    service: str
    severity: Severity


@dataclass(frozen=True)
class Acknowledgement:
    by: str
    at: datetime


class IncidentEscalation(WorkflowEntrypoint[Alert]):
    """Page one after the other until somebody answers, keep the status page fresh, and look back the next morning."""

    levels = (("on-call", "5 minutes"), ("second", "20 minutes"), ("lead", "2 hours"))

    async def run(self, event: WorkflowEvent[Alert], step: WorkflowStep) -> dict[str, Any]:
        alert = event.payload
        updates: list[str] = []
        ticker = asyncio.create_task(self.keep_informed(alert, updates, step))
        paged, answer = await self.page(alert, step)
        if answer is not None:
            print(f"{answer.by} takes care of {alert.service}")
            await self.until_resolved(step)
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)
        if answer is None or alert.severity < Severity.MAJOR:
            return {"paged": paged, "by": None if answer is None else answer.by, "updates": updates}
        await step.sleep_until("next morning", await step.do("when we meet", self.meeting_time, answer))
        invitation = await step.do("invite", self.invite, alert, [*paged, answer.by])
        return {"paged": paged, "by": answer.by, "updates": updates, "meeting": invitation}

    async def page(self, alert: Alert, step: WorkflowStep) -> tuple[list[str], Acknowledgement | None]:
        """Return who was paged, and who has answered, if anybody has."""
        paged: list[str] = []
        for who, patience in self.levels[: 1 + alert.severity]:
            await step.do(f"page {who}", self.ring, who, alert)
            paged.append(who)
            try:
                said = await step.wait_for_event(f"answer of {who}", "acknowledged", timeout=patience)
            except WorkflowTimeoutError:
                continue
            return paged, Acknowledgement(said["payload"]["by"], said["timestamp"])
        return paged, None

    async def until_resolved(self, step: WorkflowStep) -> None:
        """Wait for the end of it, or half a day."""
        resolved = asyncio.create_task(step.wait_for_event("resolved", "resolved", timeout="1 day"))
        half_a_day = asyncio.create_task(step.sleep("half a day", "12 hours"))
        _, waiting = await asyncio.wait([resolved, half_a_day], return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def keep_informed(self, alert: Alert, updates: list[str], step: WorkflowStep) -> None:
        while True:
            await step.sleep("until the next update", "25 minutes")
            updates.append(await step.do("update the status page", self.publish, alert.service, len(updates) + 1))

    async def ring(self, who: str, alert: Alert) -> str:
        return f"{who}: {alert.service} {alert.severity.name}"

    def publish(self, service: str, number: int) -> str:
        return f"{service}: still working on it ({number})"

    def meeting_time(self, answer: Acknowledgement) -> datetime:
        return datetime.combine(answer.at.date() + timedelta(days=1), time(10))

    async def invite(self, alert: Alert, people: list[str]) -> str:
        return f"{alert.service}: {', '.join(people)}"
