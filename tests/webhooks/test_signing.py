"""Signatures are those of Standard Webhooks, whose own library takes them."""

import json
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from stepwell.webhooks.signing import headers_of, new_secret

BODY = b'{"type":"cf.workflows.workflow.instance.completed"}'
ID = "msg_0123456789abcdef0123456789abcdef_7"


def test_library_of_standard_webhooks_takes_a_message() -> None:
    """With the secret that the message was signed with."""
    secret = new_secret()

    headers = headers_of(ID, int(time.time()), BODY, [secret])

    assert Webhook(secret).verify(BODY, headers) == json.loads(BODY)


def test_both_secrets_are_good_while_one_is_replaced() -> None:
    """A receiver may have either, and no third."""
    new, old, other = new_secret(), new_secret(), new_secret()

    headers = headers_of(ID, int(time.time()), BODY, [new, old])

    for secret in (new, old):
        Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, headers)


@pytest.mark.parametrize("wrong", ["body", "id", "time", "old"])
def test_message_that_was_changed_is_not_taken(wrong: str) -> None:
    """Nor one that is sent under another id, or again after some time."""
    secret = new_secret()
    now = int(time.time())
    headers = headers_of(ID, now - 3_600 if wrong == "old" else now, BODY, [secret])
    if wrong == "id":
        headers["webhook-id"] = "msg_other_1"
    if wrong == "time":
        headers["webhook-timestamp"] = str(now + 1)

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" " if wrong == "body" else BODY, headers)


def test_secret_has_256_bits_and_is_another_each_time() -> None:
    """In the form that the specification gives it."""
    secrets = {new_secret() for _ in range(50)}

    assert len(secrets) == 50
    assert {len(secret) for secret in secrets} == {len("whsec_") + 44}


def test_signature_is_that_of_the_specification() -> None:
    """Its example, by its own bytes: nothing here is only right with itself."""
    headers = headers_of(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    )

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
