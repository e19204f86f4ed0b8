"""`stepwell login`, `logout`, `whoami`, `profile show`: against servers with and without tokens, and Cloudflare."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell import __version__
from tests.cli.commands import SOURCE, run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer, stepwell, store_of

NO_ROUTE = Answer.refusal(404, 7003, "Could not route to it, perhaps your object identifier is invalid?")
BAD_TOKEN = Answer.refusal(401, 1000, "Invalid API Token")


class TokenServer(DevServer):
    """`stepwell serve`, which asks for tokens."""

    command = "serve"

    def __init__(self, folder: Path, *options: str) -> None:
        self.store = store_of(folder / "data" / "store.db")
        self.place = ("--store", self.store)
        super().__init__(folder, "flows.py", *options)

    def token(self, *options: str) -> str:
        """Make a token for the account `acme`."""
        made = stepwell(self.folder, "token", "create", "--account", "acme", "--store", self.store, *options)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that asks for tokens."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "flows.py").write_text(SOURCE)
    with TokenServer(folder) as started:
        yield started


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    """Where the profiles are."""
    return tmp_path / "config" / "stepwell" / "profiles.toml"


def _kept(file: Path) -> Any:
    return tomllib.loads(file.read_text())


def test_token_that_is_good_is_kept_for_its_owner_alone(guarded: TokenServer, profiles: Path) -> None:
    """It is in no output; the profile is in use, and `whoami` tells whose token it is; `logout` forgets it."""
    secret = guarded.token("--scope", "write", "--name", "ci")
    id = secret.split("_")[1]

    told = run("login", "--url", guarded.url, "--account", "acme", said=f"{secret}\n")
    known = run("whoami")
    whole = json.loads(run("whoami", "-o", "json").stdout)
    mode, kept = profiles.stat().st_mode & 0o777, _kept(profiles)
    gone = [run("logout"), run("logout"), run("whoami")]

    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == (
        f"{guarded.url} takes the token {id} (ci) for the account acme\n"
        "the profile default has that, and is in use from now on\n"
    )
    assert (mode, kept["current"]) == (0o600, "default")
    assert kept["profiles"]["default"] == {"url": guarded.url, "account": "acme", "token": secret}
    assert known.stdout == (
        f"server\t{guarded.url}\tprofile default\n"
        f"release\tStepwell {__version__}\tserver\n"
        "account\tacme\tprofile default\n"
        f"token\tthe token {id} (ci)\tprofile default\n"
        "permissions\tWorkers Scripts Write\tserver\n"
        "good until\tfor ever\tserver\n"
    )
    assert (whole["url"], whole["profile"], whole["account"]) == (guarded.url, "default", "acme")
    assert whole["token"] == {"id": id, "name": "ci", "expires_on": None}
    assert [one.exit_code for one in gone] == [0, 0, 3]
    assert gone[0].stderr.startswith("the profile default has no token any more; `stepwell token revoke`")
    assert gone[1].stderr == "the profile default has no token to forget\n"
    assert secret not in told.output + known.output + "".join(one.output for one in gone)


def test_token_may_be_good_for_little(guarded: TokenServer) -> None:
    """One that may not even read is taken, and it is told what it is good for, and until when."""
    secret = guarded.token("--scope", "deploy", "--expires", "1 day")

    told = run("login", "--url", guarded.url, "--account", "acme", said=secret)
    rows = dict(line.split("\t")[:2] for line in run("whoami").stdout.splitlines())

    assert told.exit_code == 0, told.stderr
    assert rows["permissions"] == "deploy"
    assert rows["good until"].endswith("Z")


@pytest.mark.parametrize(
    ("account", "secret", "message"),
    [
        pytest.param("acme", "wrong", "error: Authentication error: the token is not known here", id="unknown"),
        pytest.param("acme", "", "error: Authentication error: this request needs a token", id="none"),
        pytest.param("other", None, "error: Authentication error: the token is for another account", id="account"),
    ],
)
def test_token_that_is_refused_is_not_kept(
    guarded: TokenServer, profiles: Path, account: str, secret: str | None, message: str
) -> None:
    """Exit code 3, with the server's reason."""
    given = guarded.token() if secret is None else secret

    refused = run("login", "--url", guarded.url, "--account", account, said=f"{given}\n")

    assert (refused.exit_code, refused.stdout, profiles.exists()) == (3, "", False)
    assert refused.stderr.startswith(message)


def test_server_without_tokens_needs_none(server: DevServer, profiles: Path) -> None:
    """Nothing is typed, and the profile has no token."""
    told = run("login", "--url", server.url, "--profile", "mine", said="")
    known = run("whoami", "--profile", "mine")

    assert told.exit_code == 0
    assert told.stderr.startswith(f"{server.url} takes requests without a token for the account local\n")
    assert _kept(profiles)["profiles"]["mine"] == {"url": server.url, "account": "local"}
    assert "token\trequests without a token\tserver\n" in known.stdout
    assert (
        "permissions\tWorkers Scripts Read, Workers Scripts Write, Workers Tail Read, audit, deploy, metrics, "
        "webhooks\tserver\n" in known.stdout
    )


def test_terminal_is_asked_and_shows_no_token(guarded: TokenServer, tmp_path: Path, profiles: Path) -> None:
    """Server, account, token, one after another, each with a default."""
    secret = guarded.token()

    code, written = run_on_terminal(
        "login",
        answers={"8787]: ": f"{guarded.url}\n", "[local]: ": "acme\n", "empty): ": f"{secret}\n"},
        env={"XDG_CONFIG_HOME": str(tmp_path / "config")},
    )

    assert code == 0, written
    assert "Server [http://127.0.0.1:8787]: " in written
    assert "Account [local]: " in written
    assert "Token (none: empty): " in written
    assert _kept(profiles)["profiles"]["default"]["token"] == secret
    assert secret not in written


def test_cloudflare_is_asked_its_own_way(profiles: Path) -> None:
    """It has no route of ours; it verifies the token, and lists the account's workflows; what it says is cleaned."""
    verified = Answer.result({"id": "ed17\x1b[2J", "status": "active", "expires_on": "2027-01-01T00:00:00Z"})
    answers = [NO_ROUTE, verified, Answer.result([])]
    with scripted(answers * 2) as server:
        told = run("login", "--url", server.url, "--account", "023e", said="s3cret\n")
        known = run("whoami")

    assert [asked[1] for asked in server.asked[:3]] == ["whoami", "verify", "workflows?page=1&per_page=100"]
    assert told.stderr.startswith(f"{server.url} takes the token ed17\ufffd for the account 023e\n")
    assert [line.split("\t")[:2] for line in known.stdout.splitlines()[1:]] == [
        ["release", "not told"],
        ["account", "023e"],
        ["token", "the token ed17\ufffd"],
        ["permissions", "not told"],
        ["good until", "2027-01-01T00:00:00Z"],
    ]


@pytest.mark.parametrize(
    ("answers", "code", "message"),
    [
        pytest.param([NO_ROUTE, BAD_TOKEN, BAD_TOKEN], 3, "error: Invalid API Token (1000)\n", id="bad"),
        pytest.param(
            [NO_ROUTE, Answer.result({"id": "a", "status": "expired"})],
            1,
            "error: the token is expired\n",
            id="expired",
        ),
        pytest.param(
            [NO_ROUTE, BAD_TOKEN, Answer.result({"id": "a", "status": "active"}), Answer.result([])],
            0,
            "http://",
            id="of an account",
        ),
    ],
)
def test_token_of_cloudflare_is_looked_at(answers: list[Answer], code: int, message: str) -> None:
    """It may be a user's or an account's, and be good no more."""
    with scripted(answers) as server:
        told = run("login", "--url", server.url, "--account", "023e", said="s3cret\n")

    assert (told.exit_code, len(server.asked)) == (code, len(answers))
    assert told.stderr.startswith(message)


def test_server_that_is_away_is_told(profiles: Path) -> None:
    """Exit code 6, and nothing is kept."""
    refused = run("login", "--url", "http://127.0.0.1:1", said="s3cret\n")

    assert (refused.exit_code, profiles.exists()) == (6, False)


def test_unencrypted_way_is_warned_of() -> None:
    """Whoever is on it sees the token; this machine itself is no such way."""
    far = run("login", "--url", "http://192.0.2.1:port", said="s3cret\n")
    near = run("login", "--url", "http://127.0.0.1:1", said="s3cret\n")

    assert far.stderr.startswith(
        "warning: http://192.0.2.1:port is not encrypted: whoever is on the way sees the token"
    )
    assert "warning" not in near.stderr


def test_variable_that_wins_is_told_of(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """STEPWELL_TOKEN is sent whatever the profile has."""
    run("login", "--url", server.url, said="s3cret\n")
    monkeypatch.setenv("STEPWELL_TOKEN", "other")

    told = [run("login", "--url", server.url, said="s3cret\n"), run("logout")]

    for one in told:
        assert one.stderr.endswith(
            "STEPWELL_TOKEN is set, and is sent before any profile's; `unset STEPWELL_TOKEN` ends that\n"
        )


def test_nothing_to_forget_is_told() -> None:
    """Without a profile."""
    assert run("logout").stderr == "there is no token to forget\n"
    assert run("logout", "--profile", "gone").exit_code == 2


# ---- where values come from


def _used(*options: str) -> dict[str, list[str]]:
    lines = [line.split("\t") for line in run("profile", "show", *options).stdout.splitlines()]
    return {name: rest for name, *rest in lines}


def test_value_comes_from_the_strongest_place_that_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Option, environment, stepwell.toml, profile, default; a token is never shown."""
    monkeypatch.chdir(tmp_path)
    shown = [_used()]
    run("profile", "set", "home", "--url", "http://home", "--account", "one", "--token", said="s3cret\n")
    shown.append(_used())
    (tmp_path / "stepwell.toml").write_text('[client]\nurl = "http://127.0.0.1:1"\naccount = "two"\n')
    shown.append(_used())
    monkeypatch.setenv("STEPWELL_URL", "http://env")
    monkeypatch.setenv("STEPWELL_ACCOUNT", "three")
    monkeypatch.setenv("STEPWELL_TOKEN", "t0ken")
    shown.append(_used())
    shown.append(_used("--url", "http://flag", "--account", "four", "--profile", "home"))

    in_use = ["home", "`stepwell profile use`"]
    assert shown == [
        {
            "url": ["http://127.0.0.1:8787", "default"],
            "account": ["local", "default"],
            "token": ["-", "default"],
            "profile": ["-", "default"],
        },
        {
            "url": ["http://home", "profile home"],
            "account": ["one", "profile home"],
            "token": ["set", "profile home"],
            "profile": in_use,
        },
        {
            "url": ["http://127.0.0.1:1", "stepwell.toml"],
            "account": ["two", "stepwell.toml"],
            "token": ["-", "default"],
            "profile": in_use,
        },
        {
            "url": ["http://env", "STEPWELL_URL"],
            "account": ["three", "STEPWELL_ACCOUNT"],
            "token": ["set", "STEPWELL_TOKEN"],
            "profile": in_use,
        },
        {
            "url": ["http://flag", "--url"],
            "account": ["four", "--account"],
            "token": ["set", "STEPWELL_TOKEN"],
            "profile": ["home", "--profile"],
        },
    ]


def test_project_may_name_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is weaker than the environment, and stronger than the profile in use."""
    monkeypatch.chdir(tmp_path)
    for name in ("home", "staging", "away"):
        run("profile", "set", name, "--url", f"http://{name}")
    (tmp_path / "stepwell.toml").write_text('[settings]\ngrace = 1000\n[client]\nprofile = "staging"\n')
    by_project = _used()
    monkeypatch.setenv("STEPWELL_PROFILE", "away")

    assert by_project["url"] == ["http://staging", "profile staging"]
    assert by_project["profile"] == ["staging", "stepwell.toml"]
    assert _used()["url"] == ["http://away", "profile away"]


def test_variables_token_goes_to_no_server_that_only_a_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder from elsewhere cannot have it sent away; a server of a profile, or of this machine, gets it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPWELL_TOKEN", "t0ken")
    run("profile", "set", "home", "--url", "https://home")

    def told_of(url: str) -> tuple[str, str]:
        (tmp_path / "stepwell.toml").write_text(f'[client]\nurl = "{url}"\n')
        shown = run("profile", "show")
        return shown.stdout.splitlines()[2], shown.stderr

    assert told_of("https://home") == told_of("http://localhost:1") == ("token\tset\tSTEPWELL_TOKEN", "")
    assert told_of("https://elsewhere") == (
        "token\t-\tdefault",
        "STEPWELL_TOKEN is not sent to https://elsewhere, which only stepwell.toml names; --url https://elsewhere "
        "sends it\n",
    )


@pytest.mark.parametrize("content", ["[client\n", "client = 5\n", "[client]\ntoken = 'x'\n", "[client]\nurl = 5\n"])
def test_file_of_a_project_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """Exit code 2 with its path; a token does not belong there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stepwell.toml").write_text(content)

    refused = run("profile", "show")

    assert refused.exit_code == 2
    assert f"{tmp_path}/stepwell.toml cannot be read" in refused.stderr
    assert refused.stderr.endswith("hint: its table [client] may have url, account and profile\n")


def test_server_passes_over_what_is_for_commands(tmp_path: Path) -> None:
    """One file may have both tables."""
    (tmp_path / "stepwell.toml").write_text('[client]\nurl = "http://home"\n')

    assert run("settings", str(tmp_path)).exit_code == 0
