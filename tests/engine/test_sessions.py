"""Sessions: browsers that somebody has signed in with a token."""

import asyncio
from pathlib import Path
from typing import TypeVar

import pytest

from stepwell.audit import AuditedStore
from stepwell.clock import VirtualClock
from stepwell.durations import HOUR_MS, MINUTE_MS, SECOND_MS
from stepwell.errors import StoreUnavailable
from stepwell.expiry import Expiry
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.sessions import Sessions
from stepwell.store.operations import Operation
from stepwell.store.session_operations import ListSessions, SeeSession
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Permission, Tokens

A = TypeVar("A")
SHORT = Settings(session_idle=10 * MINUTE_MS, session_lifetime=HOUR_MS)


class Watched(AuditedStore):
    """A store that counts how often it was told that a session is used."""

    seen = 0
    is_full = False

    def run(self, operation: Operation[A]) -> asyncio.Future[A]:
        """Do an operation, or fail if it is such a one, and the disk is full."""
        if isinstance(operation, SeeSession):
            self.seen += 1
            if self.is_full:
                failed: asyncio.Future[A] = asyncio.get_running_loop().create_future()
                failed.set_exception(StoreUnavailable("the disk is full"))
                return failed
        return super().run(operation)


class Browser:
    """A browser that has signed in, and a clock."""

    def __init__(self, sessions: Sessions, clock: VirtualClock, cookie: str) -> None:
        self.sessions = sessions
        self.clock = clock
        self.cookie = cookie

    async def asks_after(self, ms: int) -> bool:
        """Let time pass, and tell whether it is still signed in."""
        self.clock.move_to(self.clock.now() + ms)
        return await self.sessions.find(self.cookie) is not None


@pytest.fixture
def store() -> Watched:
    """An empty store in memory."""
    return Watched(SqliteStore.in_memory())


@pytest.fixture
async def browser(store: Watched) -> Browser:
    """A browser that has just signed in."""
    clock = VirtualClock()
    tokens = Tokens(store, clock)
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    sessions = Sessions(tokens, SHORT)
    return Browser(sessions, clock, await sessions.begin(await tokens.authenticate(secret)))


async def test_session_that_is_not_used_ends(browser: Browser) -> None:
    """Use lengthens it, up to the minute; a pause that is too long ends it for good."""
    used = [await browser.asks_after(9 * MINUTE_MS) for _ in range(3)]

    assert used == [True, True, True]
    assert [await browser.asks_after(10 * MINUTE_MS + 1), await browser.asks_after(0)] == [False, False]


async def test_session_ends_after_its_lifetime_however_it_is_used(browser: Browser) -> None:
    """Somebody has to sign in again."""
    used = [await browser.asks_after(6 * MINUTE_MS) for _ in range(11)]

    assert used == [True] * 10 + [False]


async def test_use_is_written_once_a_minute(browser: Browser, store: Watched) -> None:
    """A page that asks ten times a second writes nothing for it."""
    for _ in range(1_800):
        assert await browser.asks_after(100)

    assert 2 <= store.seen <= 3


async def test_open_stream_uses_its_session(browser: Browser) -> None:
    """A page on which nothing happens asks for nothing, and somebody looks at it all the same."""
    caller = await browser.sessions.find(browser.cookie)
    assert caller is not None
    for _ in range(5):
        browser.clock.move_to(browser.clock.now() + 9 * MINUTE_MS)
        assert await browser.sessions.is_good(caller.token, caller.session)

    assert await browser.asks_after(9 * MINUTE_MS)


async def test_reading_goes_on_where_nothing_can_be_written(
    browser: Browser, store: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """That a session is used is not worth a refusal."""
    store.is_full = True

    assert await browser.asks_after(2 * MINUTE_MS)
    assert "cannot keep that a session of the dashboard is used: the disk is full" in caplog.text


async def test_session_of_a_second_is_seen_often_enough(store: Watched) -> None:
    """Whatever the setting says, use counts before it is too late."""
    clock = VirtualClock()
    tokens = Tokens(store, clock)
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    sessions = Sessions(tokens, Settings(session_idle=SECOND_MS))
    browser = Browser(sessions, clock, await sessions.begin(await tokens.authenticate(secret)))

    assert [await browser.asks_after(600) for _ in range(5)] == [True] * 5


async def test_cookie_with_another_secret_is_nobodys(browser: Browser) -> None:
    """The id alone is no secret: it is in the audit log."""
    last = "a" if browser.cookie[-1] != "a" else "b"

    assert await browser.sessions.find(browser.cookie[:-1] + last) is None
    assert await browser.sessions.find(f"ss_{browser.cookie.split('_')[1]}_{'a' * 43}") is None


async def test_session_outlives_a_restart_and_holds_at_every_host(tmp_path: Path) -> None:
    """All that it is lies in the store; what the cookie holds does not."""
    clock, opened = VirtualClock(), await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    tokens = Tokens(opened, clock)
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    cookie = await Sessions(tokens, DEFAULT_SETTINGS).begin(await tokens.authenticate(secret))
    await opened.close()

    content = await asyncio.to_thread(lambda: b"".join(file.read_bytes() for file in tmp_path.iterdir()))
    again = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    caller = await Sessions(Tokens(again, clock), DEFAULT_SETTINGS).find(cookie)
    await again.close()

    assert caller is not None
    assert (caller.account, caller.way, caller.session) == ("acme", "session", cookie.split("_")[1])
    assert cookie[-43:-20].encode() not in content


async def test_sessions_that_have_ended_are_forgotten(browser: Browser, store: Watched) -> None:
    """By themselves, and those that go on stay."""
    expiry = Expiry(store, browser.clock, SHORT)
    await expiry.forget_sessions()
    before = await store.run(ListSessions())

    browser.clock.move_to(browser.clock.now() + 10 * MINUTE_MS + 1)
    await expiry.forget_sessions()

    assert (len(before), await store.run(ListSessions())) == (1, [])
