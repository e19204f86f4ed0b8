"""Credentials and cursors of all kinds: nobody is let in by what is no credential, or shown what is another's."""

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwell.engine import NewInstance
from stepwell.store.operations import RegisterWorkflow
from stepwell.tokens import Permission
from tests.api.asgi import Answer
from tests.api.conftest import NOW
from tests.api.histories import ACCOUNT, Histories, do
from tests.api.one_server import OneServer
from tests.api.signed_in import session_of

ACCOUNTS = (ACCOUNT, "other")
WORKFLOWS = ("order", "bill")
FIVE = 5


class Guarded(OneServer):
    """A server of two accounts, which wants tokens: a writer's of the first, a reader's of the other."""

    def __init__(self) -> None:
        super().__init__(wants_tokens=True)
        self.secret = self.wait_for(self.tokens.create(ACCOUNT, [Permission.SCRIPTS_WRITE], email="ann@example.com"))
        self.session = self.wait_for(session_of(self.tokens, self.secret))
        self.others = self.wait_for(self.tokens.create("other", [Permission.SCRIPTS_READ]))


class Listed(OneServer):
    """A server of two accounts with the same workflows, whose instances say where they belong."""

    def __init__(self) -> None:
        super().__init__()
        histories = Histories(self.engine, self.engine.clock)  # type: ignore[arg-type]  # a clock that stands still
        for account in ACCOUNTS:
            for workflow in WORKFLOWS:
                ids = (f"{account}-{workflow}", f"{account}-{workflow}-version")
                self.do(RegisterWorkflow(account, workflow, "shop", "Order", "0" * 64, *ids, NOW))
        for number in range(FIVE):
            for account in ACCOUNTS:
                for workflow in WORKFLOWS:
                    new = NewInstance(f"{account}-{workflow}-{number}", "{}")
                    self.wait_for(self.engine.create(account, workflow, new))
        self.wait_for(self._steps(histories))
        self.cursors = sorted({cursor for target in _targets("") for cursor in self._cursors_of(target)})
        assert len(self.cursors) > len(ACCOUNTS) * len(WORKFLOWS) * FIVE

    async def _steps(self, histories: Histories) -> None:
        turn = await histories.turn("order", "stepped")
        for number in range(FIVE):
            await turn.step(do(f"step {number}"), "1")

    def _cursors_of(self, target: str) -> Iterator[str]:
        cursor = ""
        while True:
            info = self.ask(f"{target}&cursor={cursor}").json()["result_info"]
            if not info["cursor"]:
                return
            cursor = info["cursor"]
            yield cursor


def _targets(end: str) -> list[str]:
    """Return what has pages by cursor, with what a query says behind that."""
    of_workflows = [
        f"/client/v4/accounts/{account}/workflows/{workflow}/instances?per_page=1&direction={direction}{end}"
        for account in ACCOUNTS
        for workflow in WORKFLOWS
        for direction in ("asc", "desc")
    ]
    of_accounts = [
        f"/client/v4/accounts/{account}/stepwell/instances?per_page=1&direction={direction}{end}"
        for account in ACCOUNTS
        for direction in ("asc", "desc")
    ]
    stepped = f"/client/v4/accounts/{ACCOUNT}/workflows/order/instances/stepped?per_page=1"
    return [*of_workflows, *of_accounts, *(f"{stepped}&order={order}{end}" for order in ("asc", "desc"))]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A server that wants tokens."""
    server = Guarded()
    yield server
    server.close()


@pytest.fixture(scope="module")
def listed() -> Iterator[Listed]:
    """A server with pages."""
    server = Listed()
    yield server
    server.close()


# ---- credentials

SECRET, OTHERS, FORGED, SESSION = "SECRET", "OTHERS", "FORGED", "SESSION"
odd = st.binary(max_size=12).map(lambda data: data.decode("latin-1"))
secret = st.one_of(
    st.sampled_from(
        [
            SECRET,
            SESSION,
            OTHERS,
            FORGED,
            "",
            "sw_",
            "ss_",
            "sw_0000000000000000_" + "a" * 43,
            "\xff",
            "\0",
            "x" * 5_000,
        ]
    ),
    st.builds("{}{}".format, st.just(SECRET), odd.filter(lambda text: bool(text.strip()))),
    st.builds("{}{}".format, odd.filter(lambda text: bool(text.strip())), st.just(SECRET)),
    odd,
)
bearer = st.builds("{}{}{}".format, st.sampled_from(["Bearer ", "bearer  ", "Bearer", "Basic ", "\t", ""]), secret, odd)
cookie = st.builds(
    "{}{}={}{}".format,
    st.sampled_from(["", "a=b; ", '"; ', "=; ", "stepwell_session=; "]),
    st.sampled_from(["stepwell_session", "stepwell_session_1", "Stepwell_Session", "", "\xff"]),
    secret | secret.map(lambda text: f'"{text}"') | secret.map(lambda text: f'"\\{text}\\400"'),
    st.sampled_from(["", ";", "; a", '; b="']),
)
header = st.one_of(
    st.tuples(st.just("authorization"), bearer | odd),
    st.tuples(st.just("cookie"), cookie | odd),
    st.tuples(st.just("x-auth-key"), secret),
    st.tuples(st.just("x-auth-email"), st.sampled_from(["ann@example.com", "", "\xff"]) | odd),
    st.tuples(st.just("x-stepwell-page"), st.sampled_from(["", "1"])),
    st.tuples(st.just("origin"), st.sampled_from(["null", "http://evil.example", "http://localhost.evil"]) | odd),
)


def _look_at_caller(guarded: Guarded, headers: list[tuple[str, str]]) -> None:
    # The id of a token, with another secret behind it.
    forged = guarded.secret[:-1] + ("b" if guarded.secret[-1] == "a" else "a")
    stand_for = {SECRET: guarded.secret, OTHERS: guarded.others, FORGED: forged, SESSION: guarded.session}
    for word, meant in stand_for.items():
        headers = [(name, text.replace(word, meant)) for name, text in headers]
    sent = [("host", "localhost"), *headers]
    base = f"/client/v4/accounts/{ACCOUNT}"

    read = guarded.ask(f"{base}/workflows", headers=sent)
    written = guarded.ask(f"{base}/workflows/order", "DELETE", headers=sent)
    page = guarded.ask("/ui/overview", headers=sent)

    for answer in (read, written, page):
        assert answer.status in {200, 400, 401, 403, 404}
        if answer.status >= 400:
            assert len(answer.refusal()[2]) < 1_000
            assert guarded.secret not in answer.body.decode()
            assert guarded.session not in answer.body.decode()
    has_secret = any(guarded.session in text if name == "cookie" else guarded.secret in text for name, text in headers)
    assert read.status != 200 or has_secret
    # There is no such workflow, which only a writer of the account may learn; a session has to be on our own page.
    assert written.status != 404 or any(guarded.secret in text for name, text in headers if name != "cookie")
    assert page.status != 200 or has_secret or any(guarded.others in text for _, text in headers)


@settings(max_examples=200)
@given(st.lists(header, max_size=4))
@example([("authorization", f"Bearer {SECRET}")])
@example([("cookie", f"stepwell_session={SESSION}"), ("x-stepwell-page", "1"), ("origin", "http://evil.example")])
@example([("cookie", f'stepwell_session="{SESSION}'), ("origin", "http://localhost")])
@example([("authorization", f"Bearer {OTHERS}")])
@example([("authorization", f"Bearer {FORGED}")])
@example([("x-auth-key", SECRET), ("x-auth-email", "\xff")])
def test_nobody_is_let_in_but_by_a_whole_secret(guarded: Guarded, headers: list[tuple[str, str]]) -> None:
    """Whatever bytes come as credentials: 400, 401 or 403 with a reason, and no secret is said again."""
    _look_at_caller(guarded, headers)


@pytest.mark.long
@pytest.mark.timeout(600)
@settings(max_examples=10_000)
@given(st.lists(header, max_size=4))
def test_nobody_is_let_in_but_by_a_whole_secret_at_length(guarded: Guarded, headers: list[tuple[str, str]]) -> None:
    """The same for many more headers."""
    _look_at_caller(guarded, headers)


def test_whole_secret_lets_in(guarded: Guarded) -> None:
    """What the test above looks at is a server that lets in whom it should."""
    base, sent = f"/client/v4/accounts/{ACCOUNT}", [("host", "localhost")]
    bearer = ("authorization", f"Bearer {guarded.secret}")
    session = [("cookie", f"stepwell_session={guarded.session}"), ("origin", "http://localhost")]

    assert guarded.ask(f"{base}/workflows", headers=[*sent, bearer]).status == 200
    assert guarded.ask(f"{base}/workflows/order", "DELETE", headers=[*sent, bearer]).status == 404
    assert guarded.ask("/ui/overview", headers=[*sent, *session]).status == 200


# ---- cursors

number = st.integers(-3, 30) | st.sampled_from([NOW, NOW - 1, 2**63 - 1, 2**63, -(2**63), 10**18, 10**40])
forged = st.one_of(
    st.builds("i{},{}".format, number, number),
    st.builds("s{},{}".format, st.sampled_from(["asc", "desc", "up"]), number),
    st.builds("i{},{}".format, st.just(NOW), st.integers(0, 30)),
    st.text(max_size=12),
).map(lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="))
change = st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(["", "=", "A", "-", "\0", "\xe9", " ", "/"]))
which = st.floats(0, 1, exclude_max=True)


def _rows(answer: Answer) -> list[str]:
    result: Any = answer.json()["result"]
    rows = result["steps"] if isinstance(result, dict) else result
    return [row.get("id") or row["name"] for row in rows]


def _look_at_page(listed: Listed, target: float, cursor: str) -> None:
    targets = _targets(f"&cursor={quote(cursor)}")
    asked = targets[int(target * len(targets))]

    answer = listed.ask(asked)

    if answer.status != 200:
        status, code, message = answer.refusal()
        assert (status, code) == (400, 10002)
        assert "query parameter cursor must be a cursor that result_info of this same list gave" in message
        assert len(message) < 600
        return
    rows = _rows(answer)
    assert len(rows) <= 1
    if "/stepped?" in asked:
        assert all(row.startswith("step ") for row in rows)
    else:
        account = asked.split("/")[4]
        workflow = asked.split("/")[6] if "/workflows/" in asked else ""
        assert all(row.startswith(f"{account}-{workflow}") or (account, row) == (ACCOUNT, "stepped") for row in rows)


@settings(max_examples=100)
@given(which, which | forged, st.lists(change, max_size=2))
def test_page_has_only_what_belongs_to_its_list(
    listed: Listed, target: float, made_of: float | str, changes: list[tuple[float, int, str]]
) -> None:
    """A cursor of another account, workflow, order or kind of list, changed or made up: refused, or just a place."""
    cursor = made_of if isinstance(made_of, str) else listed.cursors[int(made_of * len(listed.cursors))]
    for place, length, put in changes:
        at = int(place * len(cursor))
        cursor = cursor[:at] + put + cursor[at + length :]
    _look_at_page(listed, target, cursor)


@pytest.mark.parametrize("which", range(len(_targets(""))))
def test_cursor_of_any_list_is_harmless_in_any_other(listed: Listed, which: int) -> None:
    """Each real one in each list."""
    for cursor in listed.cursors:
        _look_at_page(listed, which / len(_targets("")), cursor)
