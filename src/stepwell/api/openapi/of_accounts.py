"""Operations on accounts: their settings, the event triggers of their scripts, and who calls.

Source: developers.cloudflare.com/api/resources/accounts/, developers.cloudflare.com/api/resources/user/ and
developers.cloudflare.com/workflows/build/trigger-workflows/
"""

from collections.abc import Mapping

from stepwell import models
from stepwell.api import identity
from stepwell.api.account_settings import SettingsBody
from stepwell.api.openapi.operation import ACCOUNT, BAD_BODY, LARGE_BODY, Answer, Body, Key, Operation
from stepwell.api.triggers import Triggers

ACCOUNT_TAG = "Account"
TRIGGERS = "Triggers"

_PAGE = ("count", "per_page", "total_count", "page", "total_pages")
_BAD_BODY = (BAD_BODY, LARGE_BODY)
_TRIGGERS = Body(
    Triggers,
    "The triggers.",
    [
        {
            "type": "cf.artifacts.repo.pushed",
            "targets": [{"type": "workflow", "workflow_name": "order", "script_name": "shop"}],
        }
    ],
)

OPERATIONS: Mapping[Key, Operation] = {
    23: Operation(
        id="workflows-settings-get",
        tag=ACCOUNT_TAG,
        description="Gets how long the account's instances are kept where neither they nor their workflow say: "
        "{success_retention} after they completed and {error_retention} after they errored, until it is changed.",
        answer=Answer(models.AccountSettings),
    ),
    24: Operation(
        id="workflows-settings-edit",
        tag=ACCOUNT_TAG,
        description="Changes how long the account's instances are kept, also those that have ended before; what is "
        "left out stays as it is, and 0 takes back what was said.",
        answer=Answer(models.AccountSettings),
        body=Body(SettingsBody, "What is to change.", {"default_retention": {"success_retention": "7 days"}}),
        refused=_BAD_BODY,
    ),
    25: Operation(
        id="workflows-triggers-get",
        tag=TRIGGERS,
        description="Gets the event triggers of a script; a script that nobody knows has none.",
        answer=Answer(models.ScriptTriggers),
    ),
    26: Operation(
        id="workflows-triggers-update",
        tag=TRIGGERS,
        description="Replaces the event triggers of a script. Stored, and without effect: the events come from a "
        "product of Cloudflare's that Stepwell does not have.",
        answer=Answer(models.ScriptTriggers),
        body=_TRIGGERS,
        refused=_BAD_BODY,
    ),
    27: Operation(
        id="workflows-triggers-edit",
        tag=TRIGGERS,
        description="Adds event triggers to those of a script; one of the same type and filter is replaced. Stored, "
        "and without effect.",
        answer=Answer(models.ScriptTriggers),
        body=_TRIGGERS,
        refused=_BAD_BODY,
    ),
    28: Operation(
        id="workflows-triggers-delete",
        tag=TRIGGERS,
        description="Deletes the event triggers of a script.",
        answer=Answer(models.DeletedTriggers),
    ),
    "GET /client/v4/user": Operation(
        id="user-get",
        tag=ACCOUNT_TAG,
        description="Gets the user. Stepwell has none: whoever is let in is the owner of the accounts he may use.",
        answer=Answer(identity.User),
        sdk="user.get",
    ),
    "GET /client/v4/user/tokens/verify": Operation(
        id="user-tokens-verify",
        tag=ACCOUNT_TAG,
        description="Says whether the token that is sent with the request is good.",
        answer=Answer(identity.TokenState),
        sdk="user.tokens.verify",
        cli=("npx wrangler whoami",),
    ),
    "GET /client/v4/accounts": Operation(
        id="accounts-list",
        tag=ACCOUNT_TAG,
        description="Lists the accounts that the caller may use.",
        answer=Answer(list[identity.Account], _PAGE),
        sdk="accounts.list",
        cli=("npx wrangler whoami",),
    ),
    f"GET {ACCOUNT}": Operation(
        id="accounts-get",
        tag=ACCOUNT_TAG,
        description="Gets an account that the caller may use.",
        answer=Answer(identity.Account),
        sdk="accounts.get",
    ),
    "GET /client/v4/memberships": Operation(
        id="memberships-list",
        tag=ACCOUNT_TAG,
        description="Lists the accounts that the caller is a member of.",
        answer=Answer(list[identity.Membership], _PAGE),
        sdk="memberships.list",
    ),
}
