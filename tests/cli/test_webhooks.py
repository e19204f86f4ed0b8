"""`stepwell webhooks`, against a real server."""

import json
from typing import Any

from tests.cli.commands import ask
from tests.crash.server import DevServer, wait_until

# Nothing listens there: what is sent fails, and is tried again.
NOBODY = "http://127.0.0.1:9/hook"


def told(server: DevServer, *command: str) -> Any:
    """Return what a command prints, as JSON."""
    done = ask(server, "webhooks", *command, "-o", "json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_webhook_is_made_changed_and_deleted(server: DevServer) -> None:
    """Its secret is shown when it is made, and when it gets another; nowhere else."""
    made = told(server, "create", NOBODY, "--workflow", "none", "--event", "errored")
    id = made["id"]
    rotated = told(server, "rotate", id)
    changed = told(
        server, "change", id, "--address", f"{NOBODY}/b", "--all-workflows", "--event", "queued", "--disable"
    )
    again = told(server, "change", id, "--workflow", "none", "--all-events", "--enable")
    described = told(server, "describe", id)
    listed = ask(server, "webhooks", "list", "-o", "ids")
    nothing = ask(server, "webhooks", "change", id)
    unsure = ask(server, "webhooks", "delete", id)
    deleted = ask(server, "webhooks", "delete", id, "--yes")

    assert made["secret"].startswith("whsec_")
    assert made["secret"] != rotated["secret"]
    assert (made["workflows"], made["events"]) == (["none"], ["errored"])
    assert (changed["workflows"], changed["events"], changed["enabled"]) == ([], ["queued"], False)
    assert (again["workflows"], again["events"], again["enabled"]) == (["none"], [], True)
    assert (described["pending"], described["url"]) == (0, f"{NOBODY}/b")
    assert [each for each in (changed, again, described) if "secret" in each] == []
    assert id in listed.stdout.split()
    assert (nothing.exit_code, "give what is to change" in nothing.stderr) == (2, True)
    assert (unsure.exit_code, "--yes does it without asking" in unsure.stderr) == (2, True)
    assert (deleted.exit_code, deleted.stderr) == (0, f"deleted {id}\n")
    assert ask(server, "webhooks", "describe", id).exit_code == 4


def test_what_a_webhook_is_sent_is_listed(server: DevServer) -> None:
    """With what came of it; and it can be sent again."""
    id = told(server, "create", NOBODY, "--workflow", "none")["id"]
    sent = told(server, "test", id)
    # Until its first attempt has ended, not only begun.
    wait_until(
        lambda: [one for one in told(server, "deliveries", id)[0]["attempts"] if one["problem"]], lambda: server.log
    )

    listed = ask(server, "webhooks", "deliveries", id, "--outcome", "pending", "--limit", "1")
    none = ask(server, "webhooks", "deliveries", id, "--outcome", "delivered")
    again = told(server, "redeliver", id, sent["id"])
    missing = ask(server, "webhooks", "redeliver", id, "msg_ff_1")

    cells = listed.stdout.rstrip("\n").split("\t")
    assert cells[:4] == [sent["id"], "test", "-", "-"]
    assert cells[5:] == ["pending", "1", "no connection: Connection refused"]
    assert (none.stdout, none.stderr) == ("", "no deliveries\n")
    assert (again["id"], again["outcome"]) == (sent["id"], "pending")
    assert (missing.exit_code, "`stepwell webhooks deliveries" in missing.stderr) == (4, True)
    ask(server, "webhooks", "delete", id, "-y")


def test_secret_is_said_to_be_shown_once(server: DevServer) -> None:
    """In a table, beside the webhook's address."""
    made = ask(server, "webhooks", "create", NOBODY, "--workflow", "none")
    id, url, secret = made.stdout.rstrip("\n").split("\t")

    assert (url, secret.startswith("whsec_")) == (NOBODY, True)
    assert made.stderr == "the secret is shown only now; give it to the receiver\n"
    ask(server, "webhooks", "delete", id, "-y")


def test_address_that_may_not_be_reached_is_refused(server: DevServer) -> None:
    """With the setting that would allow it, if one does."""
    refused = ask(server, "webhooks", "create", "https://10.0.0.1/")

    assert refused.exit_code == 2
    assert "it is at a private address" in refused.stderr
    assert "webhook_networks=private" in refused.stderr
