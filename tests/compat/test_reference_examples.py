"""The examples of /docs work: each is run as the page shows it, against the server that shows it.

Go's are held against what its client has, as neither that client nor a compiler can be had where these tests run.
"""

import functools
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cloudflare
import pytest

from stepwell.api.reference import samples
from stepwell.api.reference.call import PREFIX, call_of
from tests.api.described import BY_ID
from tests.compat.node.clients import INSTALL_S
from tests.compat.shop import Played, Shop, in_node, in_python, in_shell, play, with_npx

# The first test installs the clients, if that has not been done.
pytestmark = pytest.mark.timeout(60 + INSTALL_S)

# What an operation leaves behind that others need, and what takes it away; the rest comes between them.
FIRST = (
    # While the workflow has a schedule: the example of its change has none.
    "stepwell-schedules-list",
    "stepwell-schedules-get",
    "stepwell-schedules-edit",
    "stepwell-schedules-run",
    "workflows-update",
    "workflows-instances-create",
    "workflows-instances-bulk",
    "workflows-triggers-update",
    "workflows-settings-edit",
    "stepwell-limits-edit",
    "stepwell-limits-share",
    "stepwell-limits-unshare",
    "stepwell-instances-create",
    "stepwell-instances-search",
    "stepwell-search",
)
LAST = (
    "stepwell-instances-step-force",
    "workflows-instances-events-create",
    "workflows-instances-status-edit",
    "stepwell-instances-rollback",
    "workflows-instances-batch-terminate",
    "workflows-instances-batch-delete",
    "workflows-instances-terminate-all",
    "workflows-instances-terminate-all-status",
    "stepwell-instances-events",
    "workflows-instances-subscribe",
    "workflows-instances-delete",
    "workflows-triggers-delete",
    "workflows-delete",
    "stepwell-audit",
)
# What leaves an instance that has ended.
ENDED = ("workflows-instances-create", "workflows-instances-terminate-all")
ORDER = [*FIRST, *(id for id in BY_ID if id not in {*FIRST, *LAST}), *LAST]

# A part of what each example prints, in whatever language.
SAYS = {
    "workflows-list": "order",
    "workflows-get": "Order",
    "workflows-update": "version_id",
    "workflows-delete": "ok",
    "workflows-versions-list": "Order",
    "workflows-versions-get": "Order",
    "workflows-versions-graph": "graph",
    "workflows-versions-dag": "dag",
    "workflows-instances-list": "order-1",
    "workflows-instances-create": "order-1",
    "workflows-instances-bulk": "order-8",
    "workflows-instances-get": "charge-1",
    "workflows-instances-step": "charged",
    "workflows-instances-events-create": "order-1",
    "workflows-instances-status-edit": "queued",
    "stepwell-instances-rollback": "rollingBack",
    "workflows-instances-batch-terminate": '"instancesTerminated":2',
    "workflows-instances-batch-delete": '"deleted":[{"id":"order-8"},{"id":"order-9"}]',
    "workflows-instances-terminate-all": "ok",
    "workflows-instances-terminate-all-status": "running",
    "workflows-instances-delete": "order-1",
    "workflows-instances-subscribe": '"type":"workflow_terminated"}',
    "workflows-instances-subscribe-token": "expires_at",
    "stepwell-schedules-list": "0 9 * * MON-FRI",
    "stepwell-schedules-get": "0 9 * * MON-FRI",
    "stepwell-schedules-edit": "Europe/Berlin",
    "stepwell-schedules-run": "manual-",
    "workflows-settings-get": "604800000",
    "workflows-settings-edit": "604800000",
    "workflows-triggers-get": "cf.artifacts.repo.pushed",
    "workflows-triggers-update": "cf.artifacts.repo.pushed",
    "workflows-triggers-edit": "cf.artifacts.repo.pushed",
    "workflows-triggers-delete": "deleted",
    "user-get": "id",
    "user-tokens-verify": "active",
    "accounts-list": "local",
    "accounts-get": "local",
    "memberships-list": "accepted",
    "stepwell-page": "order-1",
    "stepwell-health": "ok",
    "stepwell-metrics": "stepwell_build_info",
    "stepwell-openapi": '"openapi":"3.1.1"',
    "stepwell-docs": "/docs/workflows-list",
    "stepwell-docs-operation": "Get logs and status",
    "stepwell-limits-get": "order",
    "stepwell-limits-edit": "order",
    "stepwell-limits-workflow": "order",
    "stepwell-limits-share": "openai",
    "stepwell-limits-unshare": "order",
    "stepwell-whoami": "Workers Scripts Write",
    "stepwell-hosts": "alive",
    "stepwell-facts": "event",
    "stepwell-audit": "instance.",
    "stepwell-deployments-upload": "startup_time_ms",
    "stepwell-deployments-list": "is_served",
    "stepwell-deployments-serve": '"snapshot":1',
    "workers-services-get": "last_deployed_from",
    "workers-get": "subdomain",
    "workers-scripts-versions-list": "metadata",
    "workers-scripts-versions-create": "startup_time_ms",
    "workers-scripts-versions-get": "script_runtime",
    "workers-scripts-deployments-list": "deployments",
    "workers-scripts-deployments-create": "percentage",
    "workers-scripts-secrets-list": "",
    "workers-scripts-settings-edit": "logpush",
    "workers-scripts-subdomain-create": "previews_enabled",
    "workers-scripts-schedules-update": "schedules",
    "workers-subdomain-get": "local",
    "stepwell-checks": '"is_done":true',
    "stepwell-instances-move": '"is_moved":true',
    "stepwell-instances-fork": '"forked_from":"order-1"',
    "stepwell-jobs-list": '"action":"pause"',
    "stepwell-jobs-start": "customer=nobody",
    "stepwell-jobs-get": '"action":"pause"',
    "stepwell-jobs-cancel": '"action":"pause"',
    "stepwell-webhooks-list": "receiver.example",
    "stepwell-webhooks-create": "receiver.example",
    "stepwell-webhooks-get": "receiver.example",
    "stepwell-webhooks-change": "receiver.example",
    "stepwell-webhooks-delete": "",
    "stepwell-webhooks-rotate": "whsec_",
    "stepwell-webhooks-test": '"type":"stepwell.webhook.test"',
    "stepwell-webhooks-deliveries": '"type":"stepwell.webhook.test"',
    "stepwell-webhooks-redeliver": '"type":"stepwell.webhook.test"',
    "stepwell-instances-create": "order-10",
    "stepwell-instances-search": "order-10",
    "stepwell-search": "order-10",
    "stepwell-instances-history": "created",
    "stepwell-instances-retention": "kept_until",
    "stepwell-instances-status": "waiting",
    "stepwell-instances-logs": "an order came",
    "stepwell-instances-events": '"type":"workflow_terminated"}',
    "stepwell-instances-why": "approval-1",
    "stepwell-instances-tree": "order-1",
    "stepwell-instances-attributes": "totals",
    "stepwell-instances-graph": "approval-1",
    "stepwell-versions-graph": "last_line",
    "stepwell-versions-source": "WorkflowEntrypoint",
    "stepwell-versions-get": "params_schema",
    "stepwell-instances-step-force": "approval-1",
}
# What a program words in its own way.
WORDED: Mapping[str, Mapping[str, str]] = {
    "CLI": {
        "workflows-delete": "order\tdeleted",
        "workflows-instances-batch-terminate": "order-9\tterminated",
        "workflows-instances-batch-delete": "order-9\tdeleted",
        "workflows-instances-terminate-all-status": "order\tnot_running",
        "stepwell-instances-retention": "order-1",
        "stepwell-instances-attributes": "order-1",
        "stepwell-deployments-list": "\tserved\t",
        "stepwell-instances-move": "order-1\t",
        "stepwell-instances-fork": "\torder-1\t",
        "stepwell-deployments-serve": "1\tserved",
        "stepwell-deployments-upload": "\tserved\t",
        "stepwell-jobs-list": "\tpause\torder",
        "stepwell-jobs-get": "\tpause\torder",
        "stepwell-jobs-cancel": "\tpause\torder",
        "stepwell-webhooks-test": "\ttest\t",
        "stepwell-webhooks-deliveries": "\ttest\t",
        "stepwell-webhooks-redeliver": "\ttest\t",
    },
    "wrangler": {
        "workflows-delete": "removed successfully",
        "workflows-instances-status-edit": "was restarted successfully",
        "workflows-instances-delete": 'Deleted workflow instances from "order"',
        "workflows-instances-terminate-all": "A job to terminate instances",
        "user-tokens-verify": "You are logged in",
    },
}

# How the server stands when an example has worked, and how it should.
LOOK: Mapping[str, Callable[[Shop], Any]] = {
    "stepwell-schedules-run": lambda shop: shop.clear(),
    "workflows-update": lambda shop: shop.call("/order/versions")[0]["limits"],
    "workflows-instances-create": lambda shop: shop.wait_for_status("order", "order-1", "waiting")["params"],
    "workflows-instances-bulk": lambda shop: [shop.get("order", f"order-{id}")["params"] for id in (8, 9)],
    # What the next example goes on with.
    "stepwell-instances-step-force": lambda shop: (
        json.loads(shop.wait_for_status("order", "order-1", "complete")["output"]),
        shop.begin_again("order-1"),
    ),
    "workflows-instances-events-create": lambda shop: json.loads(
        shop.wait_for_status("order", "order-1", "complete")["output"]
    ),
    "stepwell-instances-create": lambda shop: shop.wait_for_status("order", "order-10", "waiting")["params"],
    # Found, it goes.
    "stepwell-search": lambda shop: shop.drop("order-10"),
    "stepwell-instances-fork": lambda shop: shop.drop("order-11"),
    # What the next example goes on with.
    "workflows-instances-status-edit": lambda shop: (
        shop.wait_for_status("order", "order-1", "waiting")["params"],
        shop.fail_rollback("order-1"),
    ),
    "stepwell-instances-rollback": lambda shop: shop.wait_for_status("order", "order-1", "terminated")["params"],
    "workflows-instances-batch-delete": lambda shop: [one["id"] for one in shop.call("/order/instances")],
    "workflows-instances-terminate-all": lambda shop: shop.wait_for_status("order", "order-1", "terminated")["params"],
    "workflows-instances-delete": lambda shop: shop.call("/order/instances"),
    "workflows-delete": lambda shop: shop.names(),
}
LEFT = {
    "stepwell-instances-create": {"orderId": 10},
    "stepwell-search": ["order-9", "order-8", "order-1"],
    "stepwell-instances-fork": ["order-9", "order-8", "order-1"],
    "stepwell-instances-step-force": ({"by": "ann"}, "waiting"),
    "stepwell-schedules-run": 1,
    "workflows-update": {"steps": 25_000},
    "workflows-instances-create": {"orderId": 7},
    "workflows-instances-bulk": [{"orderId": 8}, {"orderId": 9}],
    "workflows-instances-events-create": {"by": "ann"},
    "workflows-instances-status-edit": ({"orderId": 7}, "failed"),
    "stepwell-instances-rollback": {"orderId": 7},
    "workflows-instances-batch-delete": ["order-1"],
    "workflows-instances-terminate-all": {"orderId": 7},
    "workflows-instances-delete": [],
    "workflows-delete": [],
}


def shown(id: str) -> dict[str, str]:
    """Return the examples of an operation, by language."""
    method, pattern, operation = BY_ID[id]
    return samples.all_of(call_of("http://localhost:8787", method, pattern, operation), operation.get("x-cli", []))


# wrangler takes a second for each, and what it does is in test_wrangler.py, too.
LANGUAGES = ("curl", "Python", "TypeScript", "CLI", "wrangler", "websockets")
MARKS = {"wrangler": (pytest.mark.long,)}
CASES = [
    pytest.param(language, id, id=f"{language}-{id}", marks=MARKS.get(language, ()))
    for language in LANGUAGES
    for id in ORDER
    if language in shown(id)
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server with the workflow that the examples are about."""
    with Shop(tmp_path_factory.mktemp("shop")) as started:
        yield started


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, shop: Shop, require: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Played]:
    """What plays all examples of a language when it is first asked for them."""

    @functools.cache
    def of(language: str) -> Played:
        folder = tmp_path_factory.mktemp(language)
        shop.begin()
        examples = {id: text for id in ORDER if (text := shop.examples(id).get(language))}
        match language:
            case "curl":
                require("curl", "the examples of the reference")
                return play(shop, examples, in_shell(shop, folder, folder), LOOK)
            case "CLI":
                return play(shop, examples, in_shell(shop, folder, Path(sys.executable).parent), LOOK)
            case "wrangler":
                with_npx(request.getfixturevalue("node"), folder)
                return play(shop, examples, in_shell(shop, folder, folder), LOOK)
            case "TypeScript":
                with in_node(request.getfixturevalue("node"), folder, shop, examples) as run:
                    return play(shop, examples, run, LOOK)
            case "websockets":
                require("curl", "the examples of the reference")
                # It goes on until the instance has ended.
                before = {id: shop.examples(id)["curl"] for id in ENDED}
                play(shop, before, in_shell(shop, folder, folder), LOOK)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("CLOUDFLARE_API_TOKEN", shop.token)
                    return play(shop, examples, in_python, LOOK)
            case _:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("CLOUDFLARE_API_TOKEN", shop.token)
                    return play(shop, examples, in_python, LOOK)

    return of


@pytest.mark.parametrize(("language", "id"), CASES)
def test_example_works_as_the_page_shows_it(played: Callable[[str], Played], language: str, id: str) -> None:
    """It ends well and prints what it asked for."""
    outcome = played(language).outcomes[id]

    assert outcome.error is None
    assert WORDED.get(language, {}).get(id, SAYS[id]) in outcome.said


@pytest.mark.parametrize("language", [pytest.param(language, marks=MARKS.get(language, ())) for language in LANGUAGES])
def test_example_does_what_it_says(played: Callable[[str], Played], language: str) -> None:
    """The server stands as it should behind each example that changes something."""
    ran = played(language)

    assert ran.left == {id: left for id, left in LEFT.items() if id in ran.outcomes}


# ---- where there is an example


def _methods() -> dict[str, str]:
    """Return the methods of Cloudflare's clients by what they ask, as the package for Python lists them."""
    lists = Path(cloudflare.__file__).parent.glob("resources/*/api.md")
    found = [_METHOD.findall(path.read_text()) for path in lists]
    return {asked: f"{resource}.{name}" for listed in found for asked, resource, name in listed}


_METHOD = re.compile(r'<code title="([^"]+)">client\.([\w.]+)\.<a href="[^"]*">(\w+)</a>')


def test_clients_have_examples_for_what_they_have() -> None:
    """An operation names the method that Cloudflare's clients have for it, and has their examples then alone."""
    methods = _methods()

    for id, (method, pattern, operation) in BY_ID.items():
        # What is read from files is shown for a shell.
        is_form = "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
        known = None if is_form else methods.get(f"{method.lower()} {pattern.removeprefix(PREFIX)}")
        assert operation.get("x-cloudflare-sdk") == known, id
        assert {"Python", "TypeScript"} & set(shown(id)) == ({"Python", "TypeScript"} if known else set()), id


# ---- Go

_ID, _NUMBER = 'cloudflare.F("', "cloudflare.F(int64("
# What version 6 of Cloudflare's client for Go has for each method of the others: its name, how many texts it takes, and
# the type of its parameters. It has no method for the step of an instance and the graph of a version.
# Source: github.com/cloudflare/cloudflare-go, workflows/api.md and workflows/instancestatus.go at commit 066977878e72;
# the tests of accounts/, user/ and memberships/ in that version.
GO_METHODS: Mapping[str, tuple[str, int, str | None]] = {
    "workflows.list": ("Workflows.List", 0, "workflows.WorkflowListParams"),
    "workflows.get": ("Workflows.Get", 1, "workflows.WorkflowGetParams"),
    "workflows.update": ("Workflows.Update", 1, "workflows.WorkflowUpdateParams"),
    "workflows.delete": ("Workflows.Delete", 1, "workflows.WorkflowDeleteParams"),
    "workflows.versions.list": ("Workflows.Versions.List", 1, "workflows.VersionListParams"),
    "workflows.versions.get": ("Workflows.Versions.Get", 2, "workflows.VersionGetParams"),
    "workflows.instances.list": ("Workflows.Instances.List", 1, "workflows.InstanceListParams"),
    "workflows.instances.create": ("Workflows.Instances.New", 1, "workflows.InstanceNewParams"),
    "workflows.instances.bulk": ("Workflows.Instances.Bulk", 1, "workflows.InstanceBulkParams"),
    "workflows.instances.get": ("Workflows.Instances.Get", 2, "workflows.InstanceGetParams"),
    "workflows.instances.status.edit": ("Workflows.Instances.Status.Edit", 2, "workflows.InstanceStatusEditParams"),
    "workflows.instances.events.create": ("Workflows.Instances.Events.New", 3, "workflows.InstanceEventNewParams"),
    "user.get": ("User.Get", 0, None),
    "user.tokens.verify": ("User.Tokens.Verify", 0, None),
    "accounts.list": ("Accounts.List", 0, "accounts.AccountListParams"),
    "accounts.get": ("Accounts.Get", 0, "accounts.AccountGetParams"),
    "memberships.list": ("Memberships.List", 0, "memberships.MembershipListParams"),
}
# How the values of fields begin, by their types; every other type has the account alone.
GO_FIELDS: Mapping[str, Mapping[str, str]] = {
    "workflows.WorkflowUpdateParams": {
        "AccountID": _ID,
        "ClassName": _ID,
        "ScriptName": _ID,
        "Limits": "cloudflare.F(workflows.WorkflowUpdateParamsLimits{",
    },
    "workflows.WorkflowUpdateParamsLimits": {"Steps": _NUMBER},
    "workflows.InstanceNewParams": {"AccountID": _ID, "InstanceID": _ID, "Params": "cloudflare.F[any]("},
    "workflows.InstanceBulkParams": {"AccountID": _ID, "Body": "[]workflows.InstanceBulkParamsBody{"},
    "workflows.InstanceBulkParamsBody": {"InstanceID": _ID, "Params": "cloudflare.F[any]("},
    "workflows.InstanceStatusEditParams": {
        "AccountID": _ID,
        "Status": "cloudflare.F(workflows.InstanceStatusEditParamsStatusRestart)",
    },
    "workflows.InstanceEventNewParams": {"AccountID": _ID, "Body": "map[string]any{"},
    "accounts.AccountListParams": {},
    "memberships.MembershipListParams": {},
}
_GO_CALL = re.compile(r"client\.([\w.]+)\(\s*context\.Background\(\)((?:,\s*\"[^\"]*\")*),?\s*([\w.]*)")
_GO_TOKEN = re.compile(r"(?:\[\])?(\w+\.[A-Z]\w*)\{|(\{)|\}|([A-Z]\w*): +(?=(.*))")


def _go_fields(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the fields of an example's structs: the type, the field, and how its value begins."""
    kinds = [""]
    for token in _GO_TOKEN.finditer(text):
        struct, brace, name, value = token.groups()
        if name:
            yield kinds[-1], name, value
        elif struct or brace:
            # A struct in a list has no name of its own.
            kinds.append(struct or kinds[-1])
        else:
            kinds.pop()


@pytest.mark.parametrize("id", [id for id in BY_ID if "Go" in shown(id)])
def test_go_example_calls_what_its_client_has(id: str) -> None:
    """Method, arguments, types, fields and imports are those of the client for Go.

    That the example compiles and works is not shown: it would take Go and the client's module.
    """
    text = shown(id)["Go"]
    method, texts, params = GO_METHODS[BY_ID[id][2]["x-cloudflare-sdk"]]

    (called,) = _GO_CALL.findall(text)
    assert (called[0], called[1].count(","), called[2] or None) == (method, texts, params)
    for kind, name, value in _go_fields(text.partition("client." + method)[2]):
        assert value.startswith(GO_FIELDS.get(kind, {"AccountID": _ID})[name]), (kind, name)
    imports, _, program = text.partition(")\n")
    imported = {path.removesuffix("/v6").rpartition("/")[2] for path in re.findall(r'"([^"]+)"', imports)}
    assert imported - {"cloudflare-go"} | {"cloudflare"} == set(re.findall(r"\b([a-z]+)\.[A-Z]", program)) - {
        "client",
        "err",
    }


def test_go_has_examples_for_what_its_client_has() -> None:
    """Where the other clients have a method that Go's lacks, there is no example in Go."""
    lacking = {id for id in BY_ID if "Python" in shown(id) and "Go" not in shown(id)}

    # What its client has of scripts was not looked up.
    of_scripts = {id for id in lacking if id.startswith("workers-")}
    assert lacking - of_scripts == {"workflows-versions-graph", "workflows-instances-step"}
    assert {BY_ID[id][2]["x-cloudflare-sdk"] for id in BY_ID if "Go" in shown(id)} == set(GO_METHODS)
