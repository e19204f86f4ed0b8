"""What the members mean of who calls, as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]


def _text(description: str, example: str) -> Meaning:
    return {"description": description, "examples": [example]}


OF_CALLERS: Mapping[str, Mapping[str, Meaning]] = {
    "TokenState": {
        "id": _text("An id for the token.", "f1c9c5a70f4e5c2ea5a2b0c8d9e7f601"),
        "status": _text("Always `active`: any other token is refused.", "active"),
    },
    "User": {
        "id": _text("An id for the user.", "0d8f3c1e2b4a5c6d8e9f0a1b2c3d4e5f"),
        "email": _text("An address that nobody has.", "owner@stepwell.invalid"),
        "username": _text("Always `owner`.", "owner"),
        "first_name": {"description": "Always null."},
        "last_name": {"description": "Always null."},
        "suspended": {"description": "Always false.", "examples": [False]},
        "two_factor_authentication_enabled": {"description": "Always false.", "examples": [False]},
        "two_factor_authentication_locked": {"description": "Always false.", "examples": [False]},
        "organizations": {"description": "Always empty.", "examples": [[]]},
        "betas": {"description": "Always empty.", "examples": [[]]},
    },
    "Account": {
        "id": _text("The account's id.", "local"),
        "name": _text("Its name, which is its id.", "local"),
        "type": _text("Always `standard`.", "standard"),
        "settings": {"description": "What it demands of its members: nothing."},
    },
    "AccountRules": {"enforce_twofactor": {"description": "Always false.", "examples": [False]}},
    "Membership": {
        "id": _text("An id for the membership.", "5e4d3c2b1a0f9e8d7c6b5a4938271605"),
        "account": {"description": "The account."},
        "status": _text("Always `accepted`.", "accepted"),
        "api_access_enabled": {"description": "Always true."},
        "roles": {
            "description": "What the caller is there.",
            "examples": [["Super Administrator - All Privileges"]],
        },
    },
    "Whoami": {
        "account": {"description": "The account, as the path names it.", "examples": ["local"]},
        "token": {"description": "The token that was sent; null: the server asks for none."},
        "permissions": {
            "description": "What it is good for; all that there are, where no token is asked for.",
            "examples": [["Workers Scripts Write"]],
        },
        "version": {"description": "The server's release of Stepwell.", "examples": ["0.1.0"]},
        "now": {
            "description": "The server's clock.",
            "format": "date-time",
            "examples": ["2026-11-23T10:00:00.130Z"],
        },
    },
    "TokenShown": {
        "id": {"description": "Its id, as `stepwell token list` has it.", "examples": ["5d0c1f2e3a4b5c6d"]},
        "name": {"description": "What it was called when it was made; empty if it has no name.", "examples": ["ci"]},
        "expires_on": {
            "description": "Until when it is good; null: for ever.",
            "format": "date-time",
            "examples": ["2027-02-21T10:00:00.000Z"],
        },
    },
}
