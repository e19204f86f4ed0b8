"""`stepwell instances pause`, `resume`, `terminate`, `restart`, `delete`, `terminate-all`, against a real server."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from stepwell.cli.control import _show_many
from stepwell.cli.output import Output
from stepwell.cli.targets import Targets
from stepwell.client import Client
from tests.cli.commands import ask, begin, run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer


def statuses(server: DevServer, *ids: str) -> list[str]:
    """Return how instances stand; `none` for one that is not there."""
    listed = {one["id"]: one["status"] for one in server.call("/order/instances?per_page=100")}
    return [listed.get(id, "none") for id in ids]


# ---- one


def test_instance_is_controlled_and_its_status_is_told(server: DevServer) -> None:
    """Each command prints the id and the status then, and it is so."""
    begin(server, "held")

    def said(verb: str, *more: str) -> str:
        done = ask(server, "instances", verb, "order", "held", *more)
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout

    assert said("pause") == "held\tpaused\n"
    assert statuses(server, "held") == ["paused"]
    assert said("resume") == "held\tqueued\n"
    server.wait_for_status("order", "held", "waiting")
    assert said("terminate", "--yes") == "held\tterminated\n"
    assert said("restart", "-y") == "held\tqueued\n"
    server.wait_for_status("order", "held", "waiting")
    assert said("delete", "-y") == "held\tdeleted\n"
    assert statuses(server, "held") == ["none"]


def test_failed_rollback_is_gone_on_with() -> None:
    """Of one, or of many; what has no failed rollback is told, and the others are gone on with."""
    status = {"status": "rollingBack", "timestamp": "2026-11-23T10:00:00.000Z"}
    refusal = Answer.refusal(400, 10403, "workflows.api.error.instance.no_failed_rollback: no")
    with scripted([Answer.result(status), Answer.result(status), refusal, refusal]) as server:
        one = run("instances", "resume-rollback", "order", "a", "--url", server.url)
        many = run("instances", "resume-rollback", "order", "b", "c", "--url", server.url)
        none = run("instances", "resume-rollback", "order", "c", "--url", server.url)

    assert (none.exit_code, none.stdout) == (5, "")
    assert (one.exit_code, one.stdout) == (0, "a\trollingBack\n")
    assert (many.exit_code, many.stdout) == (1, "b\trollingBack\n")
    assert many.stderr == "error: c: no (10403)\ndone: 1 of 2\n"
    assert server.asked == [("POST", "rollback", None)] * 4


def test_latest_is_named_and_controlled(server: DevServer) -> None:
    """`latest` is the newest instance, by its id."""
    begin(server, "newer", "newest")

    assert ask(server, "instances", "pause", "order", "latest").stdout == "newest\tpaused\n"


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        pytest.param(
            ["pause", "order", "nobody"],
            4,
            'no instance "nobody" in workflow "order" (10400)',
            "`stepwell instances list order` shows those there are",
            id="no instance",
        ),
        pytest.param(
            ["delete", "order", "nobody", "-y"],
            4,
            'no instance "nobody" in workflow "order" (10400)',
            "`stepwell instances list order` shows those there are",
            id="nothing to delete",
        ),
        pytest.param(
            ["terminate", "order", "over", "-y"],
            5,
            'cannot terminate: instance "over" of workflow "order" is complete (10401)',
            "`stepwell instances describe order over` shows how it ended",
            id="ended",
        ),
        pytest.param(
            ["restart", "order", "over", "--from", "charge-1", "-y"],
            4,
            'Step "charge-1" not found in execution history',
            "`stepwell instances describe order over` shows its steps; a name is without its count",
            id="no step",
        ),
    ],
)
def test_refused_change_of_one_instance_has_its_own_exit_code(
    server: DevServer, arguments: list[str], code: int, error: str, hint: str
) -> None:
    """The server's reason, a hint that names the instance, and nothing for programs."""
    run("trigger", "order", "--id", "over", "--wait", "--url", server.url)

    refused = ask(server, "instances", *arguments)

    lines = refused.stderr.splitlines()
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert lines[0].startswith(f"error: {error}")
    assert lines[1:] == [f"hint: {hint}"]


# ---- restart


def steps_begun(server: DevServer, id: str) -> list[str]:
    """Return when each step of an instance began."""
    return [step["start"] for step in server.wait_for_status("order", id, "waiting")["steps"]]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--from", "nap 1", "--count", "1", "--type", "sleep"], id="ours"),
        pytest.param(
            ["--from-step-name", "nap 1", "--from-step-count", "1", "--from-step-type", "sleep"], id="wrangler's"
        ),
    ],
)
def test_restart_begins_at_a_step(server: DevServer, options: list[str]) -> None:
    """What began before it stays, what began later is done anew."""
    id = f"again-{len(options[0])}"
    server.create("order", id, {"naps": 2, "waits": True})
    before = steps_begun(server, id)

    restarted = ask(server, "instances", "restart", "order", id, *options, "-y")

    after = steps_begun(server, id)
    assert restarted.stdout == f"{id}\tqueued\n"
    assert after[:2] == before[:2]
    assert all(new > old for new, old in zip(after[2:], before[2:], strict=True))


def test_step_to_begin_at_is_named_before_it_is_counted(server: DevServer) -> None:
    """`--count` and `--type` alone are a wrong call; wrangler's spellings are taken and not listed."""
    refused = ask(server, "instances", "restart", "order", "any", "--count", "2", "-y")
    listed = run("instances", "restart", "--help").stdout

    assert refused.exit_code == 2
    assert "--count and --type say which step --from names, and it names none" in refused.stderr
    assert "hint: `stepwell instances restart --help` shows what can be given" in refused.stderr
    assert ("--from STEP" in listed, "--from-step-name" in listed) == (True, False)


@pytest.mark.parametrize(
    ("options", "body"),
    [
        pytest.param((), {"status": "terminate"}, id="plain"),
        pytest.param(("--rollback",), {"status": "terminate", "rollback": True}, id="rollback"),
    ],
)
def test_rollback_is_asked_for_where_it_is_wanted(options: Sequence[str], body: dict[str, object]) -> None:
    """The request says so then alone."""
    with scripted([Answer.result({"status": "terminated", "timestamp": ""})]) as server:
        done = run("instances", "terminate", "order", "a", "-y", *options, "--url", server.url)

    assert (done.exit_code, done.stdout) == (0, "a\tterminated\n")
    assert server.asked == [("PATCH", "status", body)]


# ---- many


def test_ids_come_from_arguments_standard_input_and_files(
    server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, each once, in the order in which they were named."""
    monkeypatch.chdir(tmp_path)
    ids = ["many-1", "many-2", "many-3", "many-4"]
    begin(server, *ids)
    (tmp_path / "ids.txt").write_text("many-3\r\n\nmany-1\n")
    (tmp_path / "ids.json").write_text('["many-4", "many-2"]')

    paused = ask(server, "instances", "pause", "order", "many-2", "-", "@ids.txt", said="many-1\n many-2\n")
    named = ask(server, "instances", "delete", "order", "many-3", "--filename", "ids.json", "-y", "-o", "ids")

    assert [line.split("\t")[0] for line in paused.stdout.splitlines()] == ["many-2", "many-1", "many-3"]
    assert named.stdout.split() == ["many-3", "many-4", "many-2"]
    assert statuses(server, *ids) == ["paused", "none", "none", "none"]


@pytest.mark.parametrize("verb", ["terminate", "delete"])
def test_failure_of_one_of_many_leaves_the_rest_done(server: DevServer, verb: str) -> None:
    """Those that can be are done; each failure is a line on standard error; the exit code is 1."""
    ids = [f"{verb}-{number}" for number in (1, 2)]
    begin(server, *ids)

    done = ask(server, "instances", verb, "order", ids[0], "nobody", ids[1], "-y", "-o", "json")

    left = "terminated" if verb == "terminate" else "deleted"
    assert done.exit_code == 1
    assert [(one["id"], one["status"]) for one in json.loads(done.stdout)] == [(ids[0], left), (ids[1], left)]
    assert done.stderr.splitlines() == [
        'error: nobody: no instance "nobody" in workflow "order" (10400)',
        "done: 2 of 3",
    ]
    assert statuses(server, *ids) == (["terminated"] * 2 if verb == "terminate" else ["none"] * 2)


def test_what_concerns_all_ends_all_and_shows_what_was_done() -> None:
    """After a refusal of the token nothing more is asked."""
    answers = [Answer.result({"status": "paused", "timestamp": ""}), Answer.refusal(401, 10000, "no")]
    with scripted(answers) as server:
        done = run("instances", "pause", "order", "a", "b", "c", "-o", "ids", "--url", server.url)

    assert (done.exit_code, done.stdout, len(server.asked)) == (3, "a\n", 2)
    assert done.stderr.startswith("done: 1 of 3\nerror: no (10000)\nhint: ")


def test_interruption_shows_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where all is printed at the end."""

    def outcomes():
        yield {"id": "a", "status": "paused"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _show_many(
            Targets(Client("http://127.0.0.1:1", "local"), "order", ("a", "b")), outcomes(), Output("json"), "pause"
        )

    assert capsys.readouterr() == ('[{"id": "a", "status": "paused"}]\n', "done: 1 of 2\nleft: 1, from b on\n")


def test_many_are_deleted_in_pieces() -> None:
    """No request names more than a hundred."""
    ids = [f"id-{number}" for number in range(205)]
    pieces = [ids[:100], ids[100:200], ids[200:]]
    answers = [Answer.result({"deleted": [{"id": id} for id in piece], "errors": []}) for piece in pieces]
    with scripted(answers) as server:
        done = run("instances", "delete", "order", "-", "-y", "-o", "ids", "--url", server.url, said="\n".join(ids))

    assert (done.exit_code, done.stdout.split()) == (0, ids)
    assert server.asked == [("POST", "delete", {"instances": piece}) for piece in pieces]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param([], "no instance is named; give ids, latest, - or @FILE", id="none"),
        pytest.param(["a", ".."], '".." is no id of an instance', id="a path"),
        pytest.param(["a", ""], '"" is no id of an instance', id="empty"),
        pytest.param(["@gone.txt"], "gone.txt cannot be read: No such file or directory", id="no file"),
        pytest.param(["--filename", "odd.json"], 'odd.json has no array of ids, such as ["order-1"', id="no array"),
        pytest.param(["--filename", "ids.txt"], "ids.txt is not JSON", id="no JSON"),
        pytest.param(["--filename", "-"], "standard input is not JSON", id="nothing on standard input"),
        pytest.param(["@bytes"], "bytes is not UTF-8", id="no text"),
    ],
)
def test_ids_that_cannot_be_are_a_wrong_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], text: str
) -> None:
    """Exit code 2, and no server is asked for anything."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.json").write_text('{"ids": []}')
    (tmp_path / "ids.txt").write_text("a\nb\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    with scripted([]) as server:
        refused = run("instances", "delete", "order", *arguments, "-y", "--url", server.url)

    assert (refused.exit_code, refused.stdout, server.asked) == (2, "", [])
    assert text in refused.stderr


def test_empty_list_of_ids_is_no_mistake(server: DevServer) -> None:
    """What another command lists may be nothing."""
    done = ask(server, "instances", "delete", "order", "-", said="")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no instance is named, so there is nothing to do\n")


# ---- asking first


@pytest.mark.parametrize("verb", ["terminate", "restart", "delete"])
def test_what_cannot_be_undone_is_not_done_without_a_yes(server: DevServer, verb: str) -> None:
    """Without a terminal to ask on: exit code 2, a sentence, and the instance is as it was."""
    begin(server, f"kept-by-{verb}")

    refused = ask(server, "instances", verb, "order", f"kept-by-{verb}", said="y\n")

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.splitlines() == [
        f"error: this has to be confirmed, and there is no terminal to ask on: {verb} kept-by-{verb} of order",
        "hint: -y or --yes does it without asking",
    ]
    assert statuses(server, f"kept-by-{verb}") == ["waiting"]


@pytest.mark.parametrize(
    ("count", "question", "typed", "is_done"),
    [
        pytest.param(1, "terminate {} of order? [y/N]: ", "y", True, id="yes"),
        pytest.param(1, "terminate {} of order? [y/N]: ", "YES", True, id="a loud yes"),
        pytest.param(1, "terminate {} of order? [y/N]: ", "", False, id="no"),
        pytest.param(3, "terminate 3 instances of order? type 3: ", "3", True, id="their number"),
        pytest.param(3, "terminate 3 instances of order? type 3: ", "y", False, id="another word"),
    ],
)
def test_terminal_is_asked(server: DevServer, count: int, question: str, typed: str, is_done: bool) -> None:
    """One instance by yes or no, many by their number; anything else is exit code 2 and nothing done."""
    ids = [f"asked-{count}{typed or 'n'}-{number}" for number in range(count)]
    begin(server, *ids)

    code, written = run_on_terminal("instances", "terminate", "order", *ids, "--url", server.url, typed=f"{typed}\n")

    assert written.startswith(question.format(ids[0]))
    assert code == (0 if is_done else 2)
    assert statuses(server, *ids) == ["terminated" if is_done else "waiting"] * count
    assert ("error: nothing is done, as that was no yes" in written) is not is_done


def test_question_is_not_part_of_the_output(server: DevServer, tmp_path: Path) -> None:
    """It is asked on standard error; what is done goes where the output goes."""
    begin(server, "quiet")
    command = f'"$0" instances terminate order quiet --url {server.url} > {tmp_path}/out'

    code, written = run_on_terminal(shell=command, typed="y\n")

    assert (code, "terminate quiet of order? [y/N]: " in written) == (0, True)
    assert (tmp_path / "out").read_text() == "quiet\tterminated\n"


def test_dry_run_prints_ids_and_does_nothing(server: DevServer) -> None:
    """Without a question; the ids are those that it would be done to."""
    begin(server, "dry-1", "dry-2")

    shown = ask(server, "instances", "delete", "order", "dry-1", "latest", "--dry-run")

    assert (shown.exit_code, shown.stdout) == (0, "dry-1\ndry-2\n")
    assert shown.stderr == "nothing is done; without --dry-run: delete 2 instances of order\n"
    assert statuses(server, "dry-1", "dry-2") == ["waiting", "waiting"]


# ---- all


def test_all_instances_of_a_status_are_terminated(server: DevServer) -> None:
    """`--wait` waits until they are; the others are as they were."""
    begin(server, "all-1", "all-2", "all-3")
    ask(server, "instances", "pause", "order", "all-1", "all-2")

    done = ask(server, "instances", "terminate-all", "order", "--status", "paused", "--wait", "--yes")

    assert (done.exit_code, done.stdout) == (0, "order\tnot_running\n")
    assert statuses(server, "all-1", "all-2", "all-3") == ["terminated", "terminated", "waiting"]


def test_termination_of_all_is_waited_for() -> None:
    """As long as the server says that it is going on."""
    states = ("running", "running", "not_running")
    answers = [Answer.result({"status": "ok"}), *(Answer.result({"status": state}) for state in states)]
    with scripted(answers) as server:
        done = run("instances", "terminate-all", "order", "--wait", "--yes", "--url", server.url)

    assert (done.exit_code, done.stdout) == (0, "order\tnot_running\n")
    assert [asked[:2] for asked in server.asked] == [("PUT", "terminate"), *([("GET", "terminate")] * 3)]


def test_termination_of_all_is_begun_and_not_waited_for(server: DevServer) -> None:
    """What the server says is shown: that it has begun."""
    done = ask(server, "instances", "terminate-all", "idle", "-y")

    assert (done.exit_code, done.stdout) == (0, "idle\tok\n")


def test_termination_of_all_is_asked_for_by_the_workflows_name(server: DevServer) -> None:
    """On a terminal the name is typed; without one there has to be a yes."""
    asked = ("instances", "terminate-all", "idle", "--status", "waiting")

    refused = ask(server, *asked)
    wrong, _ = run_on_terminal(*asked, "--url", server.url, typed="y\n")
    right, written = run_on_terminal(*asked, "--url", server.url, typed="idle\n")

    assert (refused.exit_code, wrong, right) == (2, 2, 0)
    assert written.startswith("terminate all instances with status waiting of idle? type idle: ")


def test_fault_of_the_server_is_not_laid_to_the_command() -> None:
    """A store without room is no matter of what was typed: the hint leads to the server."""
    full = Answer.refusal(503, 10001, "workflows.api.error.internal_server: the disk is full")
    with scripted([full] * 3) as server:
        told = run("instances", "terminate", "order", "a", "-y", "--url", server.url)

    assert (told.exit_code, told.stderr) == (
        1,
        "error: the disk is full (10001)\n"
        "hint: nothing is wrong with the command: `stepwell doctor` looks at the server, and its log says more\n",
    )
