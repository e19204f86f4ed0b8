"""How to make a request with Cloudflare's client for Go: a call of the method that it has for it.

Source: github.com/cloudflare/cloudflare-go, version 6
"""

import json
from collections.abc import Mapping
from typing import Any

from stepwell.api.reference.call import Call

_MODULE = "github.com/cloudflare/cloudflare-go/v6"
# By the method of the other clients: the type of the parameters that Go's method takes. None: it takes none.
_PARAMS: Mapping[str, str | None] = {
    "workflows.list": "workflows.WorkflowListParams",
    "workflows.get": "workflows.WorkflowGetParams",
    "workflows.update": "workflows.WorkflowUpdateParams",
    "workflows.delete": "workflows.WorkflowDeleteParams",
    "workflows.versions.list": "workflows.VersionListParams",
    "workflows.versions.get": "workflows.VersionGetParams",
    "workflows.instances.list": "workflows.InstanceListParams",
    "workflows.instances.create": "workflows.InstanceNewParams",
    "workflows.instances.bulk": "workflows.InstanceBulkParams",
    "workflows.instances.get": "workflows.InstanceGetParams",
    "workflows.instances.status.edit": "workflows.InstanceStatusEditParams",
    "workflows.instances.events.create": "workflows.InstanceEventNewParams",
    "user.get": None,
    "user.tokens.verify": None,
    "accounts.list": "accounts.AccountListParams",
    "accounts.get": "accounts.AccountGetParams",
    "memberships.list": "memberships.MembershipListParams",
}
# What others create, Go's client makes New.
_NAMES = {"create": "New"}
_ACCOUNT = "account_id"
# A field of any type; each other one has its own.
_ANY = "params"
# Fields whose values have names of their own.
_NAMED = {("workflows.InstanceStatusEditParams", "status")}


def sample(call: Call) -> str | None:
    """Return a program; None if the client has no method for this."""
    if call.sdk is None or call.sdk not in _PARAMS:
        return None
    arguments = ["context.Background()", *(_text(value) for name, value in call.path.items() if name != _ACCOUNT)]
    params = _PARAMS[call.sdk]
    if params is not None:
        arguments.append(_struct(params, _fields(call, params)))
    method = ".".join(_NAMES.get(word, word.capitalize()) for word in call.sdk.split("."))
    listed = "".join(f"\t\t{argument},\n" for argument in arguments)
    asked = f"{arguments[0]}" if len(arguments) == 1 else f"\n{listed}\t"
    return (
        f"package main\n\nimport (\n{_imports(params)})\n\nfunc main() {{\n\tclient := cloudflare.NewClient(\n"
        f"\t\toption.WithBaseURL({_text(call.base + '/')}),\n"
        f'\t\toption.WithAPIToken(os.Getenv("CLOUDFLARE_API_TOKEN")),\n\t)\n'
        f"\tanswer, err := client.{method}({asked})\n"
        '\tif err != nil {\n\t\tpanic(err.Error())\n\t}\n\tfmt.Printf("%+v\\n", answer)\n}'
    )


def _imports(params: str | None) -> str:
    """Return the imports of a program, in the order that Go's own formatter has."""
    used = ["option", *([] if params is None else [params.partition(".")[0]])]
    ours = [_MODULE, *(f"{_MODULE}/{package}" for package in sorted(used))]
    lines = [f'\t"{path}"' for path in ("context", "fmt", "os")] + [""] + [f'\t"{path}"' for path in ours]
    return "".join(f"{line}\n" for line in lines)


def _fields(call: Call, params: str) -> dict[str, str]:
    """Return the fields of the parameters: the account, then the body or its members."""
    account = {_ACCOUNT: call.path[_ACCOUNT]} if _ACCOUNT in call.path else {}
    fields = {_name(name): _field(name, value, params) for name, value in account.items()}
    if call.has_members:
        return fields | {_name(name): _field(name, value, params) for name, value in call.body.items()}
    return fields if call.body is None else fields | {"Body": _body(call.body, f"{params}Body")}


def _field(name: str, value: Any, params: str) -> str:
    if name == _ANY:
        return f"cloudflare.F[any]({_any(value)})"
    if (params, name) in _NAMED:
        return f"cloudflare.F({params}{_name(name)}{_name(value)})"
    if isinstance(value, Mapping):
        kind = params + _name(name)
        return f"cloudflare.F({kind}{_members(value, kind)})"
    return f"cloudflare.F({_text(value) if isinstance(value, str) else f'int64({value})'})"


def _body(body: Any, kind: str) -> str:
    """Return a body that is a list of structs, or any JSON."""
    if not isinstance(body, list):
        return _any(body)
    items = "".join(f"\t\t\t\t{_members(item, kind)},\n" for item in body)
    return f"[]{kind}{{\n{items}\t\t\t}}"


def _members(value: Mapping[str, Any], kind: str) -> str:
    return "{" + ", ".join(f"{_name(name)}: {_field(name, item, kind)}" for name, item in value.items()) + "}"


def _struct(kind: str, fields: Mapping[str, str]) -> str:
    """Return a struct, its values one below the other as Go's own formatter has them: but those of many lines."""
    if len(fields) <= 1:
        return kind + "{" + "".join(f"{name}: {value}" for name, value in fields.items()) + "}"
    width = max(len(name) for name, value in fields.items() if "\n" not in value)
    gaps = {name: " " * (1 if "\n" in value else 1 + width - len(name)) for name, value in fields.items()}
    lines = "".join(f"\t\t\t{name}:{gaps[name]}{value},\n" for name, value in fields.items())
    return f"{kind}{{\n{lines}\t\t}}"


def _name(name: str) -> str:
    return "".join("ID" if word == "id" else word.capitalize() for word in name.split("_"))


def _any(value: Any) -> str:
    """Return JSON as Go has it where a type says nothing."""
    match value:
        case Mapping():
            return "map[string]any{" + ", ".join(f"{_text(name)}: {_any(item)}" for name, item in value.items()) + "}"
        case list():
            return "[]any{" + ", ".join(map(_any, value)) + "}"
        case None:
            return "nil"
        case _:
            return json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value)
