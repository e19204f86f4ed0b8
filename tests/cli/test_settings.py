"""Settings: where their values come from, what is refused, and that each takes effect and is documented."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from stepwell.cli import main
from stepwell.core.records import StepConfig
from stepwell.errors import InvalidSetting
from stepwell.server_settings import DEFAULT_SETTINGS, SETTINGS, tell, value_of
from stepwell.setting_kinds import Kind, Setting
from stepwell.settings import TurnSettings
from stepwell.worker_options import CodeOptions, WorkerOptions

PAGE = Path(__file__).parent.parent.parent / "docs" / "settings.md"

# What the turns of workers do not need: engine, API, loading of scripts, supervisor and the server of `fetch` have it.
OF_OTHERS = {
    "payload_size",
    "most_steps_per_instance",
    "batch_instances",
    "schedules_per_account",
    "queued_instances",
    "creations_per_second",
    "creations_per_second_of_workflow",
    "requests_per_minute_of_token",
    "request_burst_of_token",
    "requests_per_minute_of_address",
    "request_burst_of_address",
    "schedule_catch_up",
    "success_retention",
    "error_retention",
    "audit_retention",
    "session_idle",
    "session_lifetime",
    "webhook_networks",
    "delivery_retention",
    "strict_transport",
    "idempotency_key_retention",
    "longest_poll",
    "traced_instances",
    "waiting_requests",
    "log_streams",
    "log_streams_of_token",
    "fetch_body_size",
    "snapshot_size",
    "worker_memory",
    "worker_open_files",
    "worker_niceness",
    "worker_cpu",
    "worker_user",
    "pinned_workers",
    "pinned_idle",
    "host_lease",
    "page_timeout",
    "grace",
    "blocked_after",
    "stuck_after",
    "metrics_access",
    "metrics_workflows",
    "metrics_steps",
    "log_format",
}


MANY_RETRIES = """
class Order:
    async def run(self, event, step):
        await step.do("a", print, config={"retries": {"limit": 20000, "delay": 0}})
"""


def _write(folder: Path, text: str) -> None:
    (folder / "stepwell.toml").write_text(text)


def _run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["settings", *arguments], env=env, prog_name="stepwell")


def _json(*arguments: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    result = _run(*arguments, "-o", "json", env=env)
    assert result.exit_code == 0, result.output
    return {setting["name"]: setting for setting in json.loads(result.stdout)}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what the tester has in his environment."""
    for name in SETTINGS:
        monkeypatch.delenv(f"STEPWELL_{name.upper()}", raising=False)


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    """A value comes from the strongest place that has one, and it is told which."""
    _write(tmp_path, "[settings]\nretry_limit = 1\nretry_delay = 1000\ngrace = 1000\n")
    env = {"STEPWELL_RETRY_LIMIT": "2", "STEPWELL_RETRY_DELAY": "2 seconds"}

    found = _json(str(tmp_path), "--set", "retry_limit=3", env=env)

    names = ("retry_limit", "retry_delay", "grace", "lost_turns")
    assert [(found[name]["value"], found[name]["from"]) for name in names] == [
        (3, "--set"),
        (2000, "STEPWELL_RETRY_DELAY"),
        (1000, str(tmp_path / "stepwell.toml")),
        (10, "default"),
    ]


def test_table_has_a_line_for_each_setting(tmp_path: Path) -> None:
    """Name, value for people, exact value, place, meaning."""
    lines = _run(str(tmp_path), "--set", "payload_size=4 MiB").stdout.splitlines()

    assert [line.split("\t")[0] for line in lines] == list(SETTINGS)
    assert lines[0].split("\t") == [
        "payload_size",
        "4 MiB",
        "4194304 bytes",
        "--set",
        "params of an instance, or payload of an event, as JSON: no larger",
    ]


def test_file_lies_beside_the_code(tmp_path: Path) -> None:
    """The file of a Python file is the one in its folder."""
    _write(tmp_path, "[settings]\nretry_limit = 1\n")
    (tmp_path / "flows.py").write_text("")

    assert _json(str(tmp_path / "flows.py"))["retry_limit"]["value"] == 1


def test_named_file_is_taken_in_place_of_the_projects(tmp_path: Path) -> None:
    """Nothing of the other one holds; flag and environment win over it as they do over any file."""
    _write(tmp_path, "[settings]\nretry_limit = 1\nlost_turns = 1\n")
    (tmp_path / "of staging.conf").write_text("[settings]\nretry_limit = 2\ngrace = 2000\nretry_delay = 2000\n")
    config = str(tmp_path / "of staging.conf")
    env = {"STEPWELL_GRACE": "3 seconds"}

    found = _json(str(tmp_path), "--config", config, "--set", "retry_delay=4000", env=env)

    names = ("retry_limit", "grace", "retry_delay", "lost_turns")
    assert [(found[name]["value"], found[name]["from"]) for name in names] == [
        (2, config),
        (3000, "STEPWELL_GRACE"),
        (4000, "--set"),
        (10, "default"),
    ]


def test_named_file_is_told_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it was named, and also where something in it is wrong."""
    (tmp_path / "other.toml").write_text('[settings]\ngrace = "5s"\n')
    monkeypatch.chdir(tmp_path)

    refused = _run("--config", "other.toml")

    assert refused.exit_code == 1
    assert refused.stderr.startswith(f'error: grace ({tmp_path / "other.toml"}) is "5s"; it must be a number of milli')


@pytest.mark.parametrize("command", ["settings", "check", "doctor", "dev", "serve", "worker"])
def test_named_file_has_to_be_there(tmp_path: Path, command: str) -> None:
    """Where the project's own need not be; and it is a file."""
    for given, problem in {"none.toml": "does not exist.", ".": "is a directory."}.items():
        path = tmp_path / given
        refused = CliRunner().invoke(main, [command, "--config", str(path)], prog_name="stepwell")

        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr == (
            f"error: Invalid value for '--config': File '{path}' {problem}\n"
            f"hint: `stepwell {command} --help` shows what can be given\n"
        )


def test_named_file_that_is_gone_meanwhile_is_told(tmp_path: Path) -> None:
    """Between the command line and its reading."""
    with pytest.raises(InvalidSetting, match=r"none\.toml cannot be read: .*No such file"):
        tell([], {}, tmp_path, str(tmp_path / "none.toml"))


def test_code_is_held_against_the_named_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `check`, and by `doctor`, which counts what is changed."""
    (tmp_path / "flows.py").write_text(MANY_RETRIES)
    (tmp_path / "other.toml").write_text("[settings]\nretries_per_step = 20_000\n")
    monkeypatch.chdir(tmp_path)
    config = ("--config", "other.toml")

    plain, checked = (CliRunner().invoke(main, ["check", ".", *more], prog_name="stepwell") for more in ((), config))
    doctor = CliRunner().invoke(main, ["doctor", *config, "--url", "http://127.0.0.1:1"], prog_name="stepwell")

    assert (plain.exit_code, checked.exit_code) == (1, 0)
    assert f"ok\tsettings\t{len(SETTINGS)} settings, 1 of them changed\n" in doctor.stdout


@pytest.mark.parametrize(
    ("given", "value"),
    [
        pytest.param("payload_size=2097152", 2**21, id="bytes"),
        pytest.param("payload_size=4 MiB", 2**22, id="MiB"),
        pytest.param("payload_size=4MiB", 2**22, id="without a space"),
        pytest.param("payload_size=1.5 MB", 1_500_000, id="MB"),
        pytest.param("payload_size=64 kb", 64_000, id="small letters"),
        pytest.param("payload-size=64 bytes", 64, id="dash in the name"),
        pytest.param("retry_delay=250", 250, id="milliseconds"),
        pytest.param("retry_delay=5 minutes", 300_000, id="duration"),
        pytest.param("retry_limit=0", 0, id="count"),
        pytest.param("retry_backoff=linear", "linear", id="word"),
        pytest.param("worker_cpu=0.25", 0.25, id="cores"),
        pytest.param("worker_cpu=2", 2, id="whole cores"),
        pytest.param("worker_user=flows:www-data", "flows:www-data", id="user"),
        pytest.param("worker_user=1234", "1234", id="number of a user"),
    ],
)
def test_value_is_read(tmp_path: Path, given: str, value: float | str) -> None:
    """Sizes, durations and counts are numbers or words; a word is one of some."""
    name = given.partition("=")[0].replace("-", "_")

    assert value_of(tell([given], {}, tmp_path).settings, name) == value


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param(
            "paylod_size=1",
            "--set paylod_size: there is no such setting; did you mean payload_size? `stepwell settings` lists all",
            id="slip",
        ),
        pytest.param("x=1", "--set x: there is no such setting; `stepwell settings` lists all", id="unknown"),
        pytest.param("grace", '--set grace: give NAME=VALUE, such as --set "payload_size=4 MiB"', id="no value"),
        pytest.param(
            "payload_size=65 MiB",
            '--set payload_size is "65 MiB"; it must be a number of bytes or a size such as "4 MiB", '
            "from 16 bytes to 64 MiB",
            id="too much",
        ),
        pytest.param("payload_size=15", '--set payload_size is "15"; it must be', id="too little"),
        pytest.param("payload_size=-1", '--set payload_size is "-1"; it must be', id="negative"),
        pytest.param("payload_size=0.1 kB1", '--set payload_size is "0.1 kB1"; it must be', id="no size"),
        pytest.param("payload_size=20.5", '--set payload_size is "20.5"; it must be', id="half a byte"),
        pytest.param("payload_size=", '--set payload_size is ""; it must be', id="empty"),
        pytest.param(
            "lost_turns=ten", '--set lost_turns is "ten"; it must be a whole number, from 1 to 1,0', id="count"
        ),
        pytest.param("lost_turns=" + "9" * 5000, '--set lost_turns is "999', id="very long"),
        pytest.param(
            "grace=5s",
            '--set grace is "5s"; it must be a number of milliseconds or a duration such as "5 minutes", '
            "from 0 seconds to 1 hour",
            id="duration",
        ),
        pytest.param(
            "retry_backoff=none",
            '--set retry_backoff is "none"; it must be one of constant, linear, exponential',
            id="word",
        ),
        pytest.param(
            "worker_cpu=0.001",
            '--set worker_cpu is "0.001"; it must be a number of cores such as 0.5 or 2, from 0.01 to 1,024, or 0',
            id="less than is shared out",
        ),
        pytest.param("worker_cpu=nan", '--set worker_cpu is "nan"; it must be a number of cores', id="no cores"),
        pytest.param("worker_cpu=1e2", '--set worker_cpu is "1e2"; it must be a number of cores', id="other number"),
        pytest.param(
            "worker_user=a b",
            '--set worker_user is "a b"; it must be the name or number of a user, or USER:GROUP, or none',
            id="no user",
        ),
        pytest.param(
            "shortest_wait=2 days",
            "shortest_wait (2 days, from: --set) must not be more than wait_timeout (1 day, from: default); "
            "change one of them",
            id="order",
        ),
        pytest.param(
            "steps_per_instance=25001",
            "steps_per_instance (25,001, from: --set) must not be more than most_steps_per_instance (25,000, from: "
            "default); change one of them",
            id="order of steps",
        ),
        pytest.param(
            "instance_size=1 MB",
            "payload_size (1 MiB, from: default) must not be more than instance_size (1 MB, from: --set); change",
            id="order of sizes",
        ),
    ],
)
def test_wrong_option_is_refused(tmp_path: Path, given: str, problem: str) -> None:
    """The message names setting, value, place and remedy, and the name that was meant."""
    result = _run(str(tmp_path), "--set", given)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("[settings]\nretry_limit = true\n", "retry_limit ({file}) is True; it must be", id="bool"),
        pytest.param("[settings]\nworker_cpu = true\n", "worker_cpu ({file}) is True; it must be", id="bool of cores"),
        pytest.param("[settings]\nworker_cpu = inf\n", "worker_cpu ({file}) is inf; it must be", id="no end of cores"),
        pytest.param("[settings]\nworker_user = 1.5\n", "worker_user ({file}) is 1.5; it must be", id="no user"),
        pytest.param("[settings]\nretry_limit = 1.5\n", "retry_limit ({file}) is 1.5; it must be", id="fraction"),
        pytest.param("[settings]\nretry_backoff = 1\n", "retry_backoff ({file}) is 1; it must be", id="word"),
        pytest.param("[settings]\ngrace = [1]\n", "grace ({file}) is [1]; it must be", id="list"),
        pytest.param(
            "[settings]\nretry_delays = 1\n",
            "retry_delays ({file}): there is no such setting; did you mean retry_delay?",
            id="slip",
        ),
        pytest.param(
            "grace = 1\n",
            '{file}: "grace" is not known there; settings belong below the line [settings]',
            id="outside of the table",
        ),
        pytest.param("settings = 1\n", "{file}: `settings` has to be a table", id="no table"),
        pytest.param("[settings\n", "{file} cannot be read: ", id="no TOML"),
    ],
)
def test_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """The message has the file."""
    _write(tmp_path, text)

    result = _run(str(tmp_path))

    assert result.exit_code == 1
    assert result.stderr.startswith("error: " + problem.format(file=tmp_path / "stepwell.toml"))


def test_wrong_value_is_refused_where_another_wins(tmp_path: Path) -> None:
    """A mistake does not hide behind a stronger place."""
    _write(tmp_path, '[settings]\ngrace = "5s"\n')

    with pytest.raises(InvalidSetting, match='is "5s"; it must be'):
        tell(["grace=1"], {}, tmp_path)


def test_variable_that_is_almost_a_setting_is_a_slip(tmp_path: Path) -> None:
    """Other variables may begin like ours; one letter off is a mistake, and an empty one says nothing."""
    others = {f"STEPWELL_{name}": "x" for name in ("STORE", "DATA", "URL", "TOKEN", "ACCOUNT", "PROFILE", "PORT")}

    told = tell([], {**others, "STEPWELL_GRACE": "", "GRACE": "x"}, tmp_path)

    assert told.settings == DEFAULT_SETTINGS
    with pytest.raises(
        InvalidSetting, match=r"paylod_size \(STEPWELL_PAYLOD_SIZE\): there is no such setting; did you"
    ):
        tell([], {"STEPWELL_PAYLOD_SIZE": "1"}, tmp_path)


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in SETTINGS])
def test_default_is_a_value(name: str) -> None:
    """A default is within the bounds of its setting, and can be written as it is shown."""
    setting, default = SETTINGS[name], value_of(DEFAULT_SETTINGS, name)
    shown = str(default) if setting.kind is Kind.COUNT else setting.in_words(default)

    assert (setting.read(default), setting.read(shown)) == (default, default)


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in SETTINGS if name not in OF_OTHERS])
def test_setting_reaches_the_turns_of_a_worker(name: str) -> None:
    """What a turn goes by differs when a setting does, also after the way into the worker process."""
    setting = SETTINGS[name]
    values: dict[str, Any] = {name: setting.words[0] if setting.kind is Kind.WORD else setting.most}
    changed = replace(DEFAULT_SETTINGS, **values)
    options = WorkerOptions(1, 2, 3, CodeOptions("flows.py"), "worker 1", settings=changed)
    options = WorkerOptions.of_argument(options.to_argument())

    assert options.settings == changed
    assert TurnSettings.of(options.settings, keeps_output=True) != TurnSettings()


def test_server_that_is_told_nothing_is_as_its_parts_are() -> None:
    """The defaults of settings are those of the parts, and the time-out is shown as on Cloudflare."""
    settings = TurnSettings.of(DEFAULT_SETTINGS, keeps_output=True)

    assert settings == TurnSettings()
    assert settings.defaults == StepConfig(5, 10_000, "exponential", "10 minutes")


def test_every_setting_is_documented() -> None:
    """The table of the page has each setting with its default, bounds, meaning and source, and no other."""
    table = PAGE.read_text().partition("## All settings")[2].partition("\n## ")[0]

    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in re.findall(r"^\| `.*", table, re.MULTILINE)
    ]

    assert rows == [_row(name, setting) for name, setting in SETTINGS.items()]


def _row(name: str, setting: Setting) -> list[str]:
    bounds = f"{setting.in_words(setting.least)} to {setting.in_words(setting.most)}"
    return [
        f"`{name}`",
        setting.in_words(value_of(DEFAULT_SETTINGS, name)),
        setting.expected if setting.kind is Kind.USER else ", ".join(f"`{word}`" for word in setting.words) or bounds,
        setting.meaning,
        f"[Cloudflare](https://{setting.source})" if setting.source else "Stepwell",
    ]


def test_example_of_the_page_is_right(tmp_path: Path) -> None:
    """The file that the page shows is read."""
    _write(tmp_path, re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])

    told = tell([], {}, tmp_path).settings

    assert (told.payload_size, told.retry_delay, told.steps_per_instance) == (2**22, 2000, 25_000)


def test_settings_are_told_where_there_is_no_file() -> None:
    """What is needed before the code is there comes from the command line and the environment."""
    told = tell(["grace=1 second"], {"STEPWELL_HOST_LEASE": "2 seconds"}, None).settings

    assert (told.grace, told.host_lease) == (1_000, 2_000)
