"""Signatures by which a receiver knows who has sent what it gets, and that it is not an old one again.

Source: github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """Make a secret, in the form in which libraries of Standard Webhooks take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers_of(id: str, at_s: int, body: bytes, signing: Sequence[str]) -> dict[str, str]:
    """Return the headers that a message is sent with, signed with each of some secrets; `at_s`: when it is sent."""
    signed = f"{id}.{at_s}.".encode() + body
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{_signature(signed, secret)}" for secret in signing),
    }


def _signature(signed: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, sha256)).decode()
