"""`stepwell completion`: its scripts in real shells, and what they are answered."""

import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from stepwell.cli import completing, completion_cache, main
from tests.cli.commands import run
from tests.cli.scripted import Answer, scripted
from tests.cli.shells import Shell, shell_with_completion
from tests.crash.server import DevServer


@pytest.fixture(scope="module")
def known(server: DevServer) -> DevServer:
    """A server with three instances of `order`."""
    for id in ("one-1", "one-2", "two"):
        server.create("order", id, {"waits": True, "naps": 1})
    for id in ("one-1", "one-2", "two"):
        server.wait_for_status("order", id, "waiting")
    return server


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(
    request: pytest.FixtureRequest,
    known: DevServer,
    require: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shell]:
    """A shell that completes, in a folder with another one, and with a file whose name is like an instance's."""
    require(request.param, "its completion")
    folder = tmp_path_factory.mktemp("shell")
    (folder / "one-file").write_text("")
    (folder / "in-folder").mkdir()
    env = {"STEPWELL_URL": known.url, "XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with shell_with_completion(request.param, env, folder) as shell:
        yield shell


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        pytest.param("inst\t", "instances", id="command"),
        pytest.param("instances desc\t", "instances|describe", id="command of a group"),
        pytest.param("instances list order --sin\t", "instances|list|order|--since", id="option"),
        pytest.param("trigger or\t", "trigger|order", id="workflow"),
        pytest.param("instances describe order tw\t", "instances|describe|order|two", id="instance"),
        pytest.param("instances pause order on\t", "instances|pause|order|one-", id="no file"),
        pytest.param("instances list order --status er\t", "instances|list|order|--status|errored", id="status"),
        pytest.param("instances list order --status=er\t", "instances|list|order|--status=errored", id="after ="),
        pytest.param("jobs start pause --status errored,te\t", "jobs|start|pause|--status|errored,terminated", id=","),
        pytest.param("instances step order two nap\t", "instances|step|order|two|nap 0-1", id="step with a blank"),
        pytest.param("instances step order two 'nap\t", "instances|step|order|two|nap 0-1", id="in quotes"),
        pytest.param("instances step order two nap\\ \t", "instances|step|order|two|nap 0-1", id="behind a backslash"),
        pytest.param("instances restart order two --from n\t", "instances|restart|order|two|--from|nap 0", id="from"),
        pytest.param("schedules run idle \t", "schedules|run|idle|0 0 1 1 *", id="pattern"),
        pytest.param("serve --config one-f\t", "serve|--config|one-file", id="file of an option"),
        pytest.param("serve --config=one-f\t", "serve|--config=one-file", id="file after ="),
        pytest.param("dev one-f\t", "dev|one-file", id="file"),
        pytest.param("graph one-f\t", "graph|one-file", id="file or workflow"),
        pytest.param("graph or\t", "graph|order", id="workflow or file"),
        pytest.param("init in-f\t", "init|in-folder", id="folder"),
    ],
)
def test_shell_completes_what_is_typed(shell: Shell, typed: str, words: str) -> None:
    """Commands, options, and values of the server, which become one word each, whatever is in them."""
    assert [word.rstrip("/") for word in shell.words_of(f"stepwell {typed}")] == ["stepwell", *words.split("|")]


def test_word_with_a_colon_is_one_word(shell: Shell, known: DevServer) -> None:
    """The address of a server before the word that is typed is understood."""
    assert shell.words_of(f"stepwell instances describe --url {known.url} order tw\t")[-2:] == ["order", "two"]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "powershell"])
def test_script_of_each_shell_is_printed(name: str) -> None:
    """It names the command and what it is asked by; nothing else is printed."""
    printed = run("completion", name)

    assert (printed.exit_code, printed.stderr) == (0, "")
    assert "stepwell" in printed.stdout
    assert f"{name}_complete" in printed.stdout
    assert run("completion", "csh").exit_code == 2


def test_shell_that_click_does_not_know_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older click has no script for PowerShell."""
    monkeypatch.setattr("stepwell.cli.completion.get_completion_class", lambda _: None)

    refused = run("completion", "powershell")

    assert refused.exit_code == 2
    assert refused.stderr == (
        "error: the click that is installed has no script for powershell\nhint: pip install --upgrade click\n"
    )


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """What gives what the script of a shell is answered, however slow the machine is. Nothing is said beside that."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(completing, "_LIMIT_S", 30)

    def offered(line: str, url: str, shell: str = "bash") -> list[str]:
        words = line.split(" ")
        typed = words[-1] if shell == "fish" else str(len(words) - 1)
        asked = {"COMP_LINE": line, "COMP_WORDS": line, "COMP_CWORD": typed, "STEPWELL_URL": url}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**asked, "_STEPWELL_COMPLETE": f"{shell}_complete"}.items():
                patch.setenv(name, value)
            told = run()
        assert (told.exit_code, told.stderr) == (0, "")
        return [text for text in told.stdout.splitlines() if text]

    return offered


def test_jobs_and_profiles_are_offered(offered: Callable[..., list[str]]) -> None:
    """Ids of jobs with what they are, and the names of profiles with their addresses; shells that can show it do."""
    run("profile", "set", "home", "--url", "http://127.0.0.1:1")
    job = {"id": "j-1", "action": "pause", "workflow_name": None, "status": "running"}
    with scripted([Answer.result([job])]) as server:
        assert offered("stepwell jobs describe ", server.url, shell="fish") == ["plain,j-1\tpause all: running"]

    assert offered("stepwell profile use h", "", shell="fish") == ["plain,home\thttp://127.0.0.1:1"]
    assert offered("stepwell hosts list --profile ", "") == ["plain,home"]


def test_events_are_offered(offered: Callable[..., list[str]]) -> None:
    """Those that the server has told last, each once, with its latest line; none that a terminal would obey."""
    names = ("worker.died", "turn.lost", "worker.died", "a\x1b[31m")
    told = [{"event": name, "message": f"no. {n}"} for n, name in enumerate(names)]
    with scripted([Answer.result(told)]) as server:
        found = offered("stepwell facts list --event ", server.url, shell="fish")

    assert found == ["plain,turn.lost\tno. 1", "plain,worker.died\tno. 0"]


@pytest.mark.parametrize(
    "line",
    [
        "workflows compare order ",
        "workflows compare order v1 ",
        "graph order --version ",
        "instances list order --version ",
        "instances move order --to-version ",
    ],
)
def test_versions_are_offered(offered: Callable[..., list[str]], line: str) -> None:
    """Their ids, the newest first, with when each was made."""
    found = [{"id": id, "created_on": "2026-11-27"} for id in ("v2", "v1")]
    with scripted([Answer.result(found)]) as server:
        told = offered(f"stepwell {line}", server.url, shell="fish")

    assert told == ["plain,v2\t2026-11-27", "plain,v1\t2026-11-27"]


def test_ids_that_are_there_are_not_offered_again(offered: Callable[..., list[str]]) -> None:
    """Of a command that takes many."""
    found = [{"id": id, "status": "paused"} for id in ("a", "b")]
    with scripted([Answer.result(found)]) as server:
        assert offered("stepwell instances resume order a ", server.url) == ["plain,latest", "plain,b"]
        assert server.asked == [("GET", "instances?per_page=50", None)]


@pytest.mark.parametrize(
    "id",
    ["a\x1b]0;x\x07", "a\nplain,b", "--yes", "", "a\\b", "a\u202eb"],
    ids=["escape", "line", "option", "", "\\", "bidi"],
)
def test_hostile_value_is_not_offered(offered: Callable[..., list[str]], id: str) -> None:
    """What a terminal would obey, or would become something else than a word, is left out; the others stay."""
    found = [{"id": id, "status": "paused"}, {"id": "good", "status": "\x1b[31mred"}]
    for shell, about in (("bash", ""), ("fish", "\t\N{REPLACEMENT CHARACTER}red")):
        with scripted([Answer.result(found)]) as server:
            told = offered("stepwell instances describe order ", server.url, shell)
        assert told[1:] == [f"plain,good{about}"]
        completion_cache.path_of_cache().unlink()


@pytest.mark.parametrize(
    ("value", "word"),
    [
        pytest.param("$(touch owned)", r"\$\(touch\ owned\)", id="command"),
        pytest.param("a; touch owned", r"a\;\ touch\ owned", id="end of the command"),
        pytest.param("`touch owned`", r"\`touch\ owned\`", id="backticks"),
        pytest.param("*", r"\*", id="pattern"),
        pytest.param("~", r"\~", id="home"),
        pytest.param("a'b\"c", r"a\'b\"c", id="quotes"),
    ],
)
def test_value_is_one_word_in_bash(offered: Callable[..., list[str]], value: str, word: str) -> None:
    """Entering the line runs nothing that a server has said."""
    with scripted([Answer.result([{"name": value}])]) as server:
        assert offered("stepwell instances list ", server.url) == [f"plain,{word}"]


def test_answer_is_kept_for_its_owner_alone_and_not_for_long(
    offered: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within ten seconds no server is asked again; the file has no token in it."""
    monkeypatch.setenv("STEPWELL_TOKEN", "secret-token")
    with scripted([Answer.result([{"name": "order"}]), Answer.result([{"name": "later"}])]) as server:
        first, second = (offered("stepwell trigger ", server.url) for _ in range(2))
        path = completion_cache.path_of_cache()
        mode, kept = stat.S_IMODE(path.stat().st_mode), json.loads(path.read_text())
        path.write_text(json.dumps({name: {**entry, "at": time.time() - 11} for name, entry in kept.items()}))
        third = offered("stepwell trigger ", server.url)

    assert (first, second, third) == (["plain,order"], ["plain,order"], ["plain,later"])
    assert mode == 0o600
    assert "secret-token" not in str(kept)
    assert [name.name for name in path.parent.iterdir()] == ["completion.json"]


def test_answer_for_one_token_is_not_given_to_another(
    offered: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor that of another account."""
    told = []
    with scripted([Answer.result([{"name": name}]) for name in ("a", "b", "c")]) as server:
        for token, option in (("one", ""), ("two", ""), ("one", "--account other ")):
            monkeypatch.setenv("STEPWELL_TOKEN", token)
            told += offered(f"stepwell trigger {option}", server.url)

    assert told == ["plain,a", "plain,b", "plain,c"]


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"a": 1}', '{"a": {"at": "x"}}', "\x00"])
def test_broken_cache_is_as_good_as_none(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = completion_cache.path_of_cache()
    path.parent.mkdir()
    path.write_text(content)

    assert completion_cache.load(["k"]) is None
    completion_cache.save(["k"], [("a", "b")])
    assert completion_cache.load(["k"]) == [("a", "b")]


def test_folder_that_cannot_be_written_is_no_error(
    offered: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the server is asked each time."""
    (tmp_path / "cache").write_text("")
    with scripted([Answer.result([{"name": "order"}])] * 2) as server:
        assert [offered("stepwell trigger ", server.url) for _ in range(2)] == [["plain,order"]] * 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer.refusal(401, 10000, "no"), id="not allowed"),
        pytest.param(Answer("not json"), id="no envelope"),
        pytest.param(Answer.result([{"noname": 1}]), id="no names"),
        pytest.param(Answer.result("text"), id="no list"),
    ],
)
def test_server_that_answers_otherwise_disturbs_nobody(offered: Callable[..., list[str]], answer: Answer) -> None:
    """Nothing is offered, nothing is said."""
    with scripted([answer]) as server:
        assert offered("stepwell trigger ", server.url) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no address", "http://no-such-host.invalid"])
def test_server_that_is_not_there_disturbs_nobody(offered: Callable[..., list[str]], url: str) -> None:
    """Nothing is offered, nothing is said; commands are offered all the same."""
    assert offered("stepwell trigger ", url) == []
    assert offered("stepwell trig", url) == ["plain,trigger"]


def test_server_that_does_not_answer_is_not_waited_for(
    offered: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection, and is silent for as long as the test runs."""
    monkeypatch.setattr(completing, "_LIMIT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert offered("stepwell trigger ", f"http://127.0.0.1:{silent.getsockname()[1]}") == []


def test_token_that_is_kept_back_disturbs_nobody(
    offered: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other commands say that a server which only a project's file names does not get it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPWELL_TOKEN", "secret")
    (tmp_path / "stepwell.toml").write_text('[client]\nurl = "http://no-such-host.invalid"\n')

    assert offered("stepwell trigger ", "") == []


def test_broken_profiles_disturb_nobody(offered: Callable[..., list[str]], tmp_path: Path) -> None:
    """The file that cannot be read is told by other commands."""
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "stepwell"
    folder.mkdir(parents=True)
    (folder / "profiles.toml").write_text("= broken")

    assert offered("stepwell trigger ", "") == []
    assert offered("stepwell profile use ", "") == []


@pytest.mark.parametrize("asked", ["bash_complete", "zsh_complete", "tcsh_complete", "bash", "_", "1"])
def test_question_without_a_line_disturbs_nobody(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that asks otherwise than its script does gets an exit code, and no traceback."""
    for name in ("COMP_LINE", "COMP_WORDS", "COMP_CWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("_STEPWELL_COMPLETE", asked)

    told = run()

    assert (told.exit_code, told.output) == (1, "")


def test_every_workflow_and_instance_is_completed() -> None:
    """Whatever command is given a name of a workflow, the id of an instance, a file or a folder."""

    def plain(command: click.Command, path: str) -> Iterator[str]:
        for name, one in getattr(command, "commands", {}).items():
            yield from plain(one, f"{path} {name}")
        for param in command.params:
            is_known = param.name in {"workflow", "ids", "path", "file", "folder", "data", "config", "filename"}
            if is_known and param._custom_shell_complete is None and not isinstance(param.type, click.Path):
                yield f"{path} {param.name}"

    assert [*plain(main, "stepwell")] == []
