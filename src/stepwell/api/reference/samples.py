"""How to make a request in several languages, made from what the document says of an operation.

Source: the official clients: github.com/cloudflare/cloudflare-python, cloudflare-typescript, cloudflare-go, and
developers.cloudflare.com/workers/wrangler/commands/workflows/
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

_PREFIX = "/client/v4"
_ACCOUNT = "account_id"
# Go's clients call what others create New.
_GO_METHODS = {"create": "New"}
# What has no body and nothing that it needs in its query: the client's own method is as short as the path.
_GO_TYPED = frozenset(
    {
        "workflows.list",
        "workflows.get",
        "workflows.delete",
        "workflows.instances.list",
        "workflows.instances.get",
        "workflows.versions.list",
        "workflows.versions.get",
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request to make: path and query with the values of the example, and the JSON of its body.

    `body` None: there is none. `has_members`: the members of the body are parameters of the clients' method.
    """

    server: str
    method: str
    pattern: str
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    has_members: bool
    sdk: str | None
    is_open: bool

    @property
    def target(self) -> str:
        """The path with its parts filled in, and the query behind it."""
        path = self.pattern.format(**{name: quote(value, safe="") for name, value in self.path.items()})
        return f"{path}?{urlencode(self.query)}" if self.query else path

    @property
    def base(self) -> str:
        """What Cloudflare's clients have to be told."""
        return self.server + _PREFIX


def call_of(server: str, method: str, pattern: str, operation: Mapping[str, Any]) -> Call:
    """Return the call that the examples of an operation make."""
    needed = [given for given in operation["parameters"] if given.get("required")]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return Call(
        server,
        method,
        pattern,
        {given["name"]: given["example"] for given in needed if given["in"] == "path"},
        {given["name"]: given["example"] for given in needed if given["in"] == "query"},
        None if body is None else body["example"],
        body is not None and not body["schema"].keys().isdisjoint(("$ref", "oneOf")),
        operation.get("x-cloudflare-sdk"),
        not operation["security"],
    )


def all_of(call: Call, commands: list[str]) -> dict[str, str]:
    """Return the samples by language; those of Cloudflare's clients only below its prefix."""
    samples = {"curl": curl(call)}
    if call.pattern.startswith(_PREFIX):
        samples |= {"Python": python(call), "TypeScript": typescript(call), "Go": go(call)}
    if commands:
        samples["CLI"] = cli(call, commands)
    return samples


def curl(call: Call) -> str:
    """Return a command line."""
    lines = [f"curl {shlex.quote(call.server + call.target)}"]
    if call.method != "GET":
        lines[0] = f"curl -X {call.method} {shlex.quote(call.server + call.target)}"
    if not call.is_open:
        lines.append('-H "Authorization: Bearer $CLOUDFLARE_API_TOKEN"')
    if call.body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(call.body))}"]
    return " \\\n  ".join(lines)


def python(call: Call) -> str:
    """Return a program for Cloudflare's client for Python."""
    head = (
        "import os\n\nfrom cloudflare import Cloudflare\n\nclient = Cloudflare(\n"
        f"    base_url={_py(call.base)},\n"
        '    api_token=os.environ["CLOUDFLARE_API_TOKEN"],\n)\n'
    )
    if call.sdk is None:
        body = "" if call.body is None else f"\n    body={_py(call.body)},"
        path = call.target.removeprefix(_PREFIX)
        arguments = f"\n    {_py(path)},{body}\n    cast_to=object,\n"
        return f"{head}answer = client.{call.method.lower()}({arguments})\nprint(answer)"
    given = {**_arguments(call), **call.query}
    names = {"from": "from_"}
    lines = "".join(f"    {names.get(name, name)}={_py(value)},\n" for name, value in given.items())
    arguments = f"\n{lines}" if lines else ""
    if call.sdk.endswith((".list", ".bulk")):
        return f"{head}for one in client.{call.sdk}({arguments}):\n    print(one)"
    return f"{head}answer = client.{call.sdk}({arguments})\nprint(answer)"


def typescript(call: Call) -> str:
    """Return a program for Cloudflare's client for TypeScript."""
    head = (
        "import Cloudflare from 'cloudflare';\n\nconst client = new Cloudflare({\n"
        f"  baseURL: {_ts(call.base)},\n"
        "  apiToken: process.env['CLOUDFLARE_API_TOKEN'],\n});\n\n"
    )
    if call.sdk is None:
        body = "" if call.body is None else f", {{\n  body: {_ts(call.body)},\n}}"
        path = _ts(call.target.removeprefix(_PREFIX))
        return f"{head}const answer = await client.{call.method.lower()}({path}{body});\nconsole.log(answer);"
    given = {**_arguments(call), **call.query}
    # The last part of the path comes by itself; it is the account only where nothing else is in the path.
    last = list(call.path)[-1] if len(call.path) > 1 else None
    first = "" if last is None else _ts(given.pop(last))
    lines = "".join(f"  {name}: {_ts(value)},\n" for name, value in given.items())
    arguments = ", ".join(part for part in (first, f"{{\n{lines}}}" if lines else "") if part)
    if call.sdk.endswith((".list", ".bulk")):
        return f"{head}for await (const one of client.{call.sdk}({arguments})) {{\n  console.log(one);\n}}"
    return f"{head}const answer = await client.{call.sdk}({arguments});\nconsole.log(answer);"


def go(call: Call) -> str:
    """Return a program for Cloudflare's client for Go."""
    typed = call.sdk in _GO_TYPED
    calls = _go_typed(call) if typed else _go_by_path(call)
    imports = [
        '"context"',
        *([] if call.body is None else ['"encoding/json"']),
        '"fmt"',
        '"os"',
        "",
        '"github.com/cloudflare/cloudflare-go/v6"',
    ]
    imports.append('"github.com/cloudflare/cloudflare-go/v6/option"')
    imports += ['"github.com/cloudflare/cloudflare-go/v6/workflows"'] if typed else []
    listed = "".join(f"\t{line}\n" if line else "\n" for line in imports)
    return (
        f"package main\n\nimport (\n{listed})\n\nfunc main() {{\n\tclient := cloudflare.NewClient(\n"
        f"\t\toption.WithBaseURL({_go(call.base + '/')}),\n"
        f'\t\toption.WithAPIToken(os.Getenv("CLOUDFLARE_API_TOKEN")),\n\t)\n{calls}'
        '\tif err != nil {\n\t\tpanic(err.Error())\n\t}\n\tfmt.Printf("%+v\\n", answer)\n}'
    )


def cli(call: Call, commands: list[str]) -> str:
    """Return commands that do the same, with what their programs have to be told."""
    settings = [
        f"export STEPWELL_URL={shlex.quote(call.server)}",
        f"export CLOUDFLARE_API_BASE_URL={shlex.quote(call.base)}",
    ]
    used = [settings[0]] if any(command.startswith("stepwell ") for command in commands) else []
    used += [settings[1]] if any("wrangler" in command for command in commands) else []
    return "\n".join([*used, *commands])


def _arguments(call: Call) -> dict[str, Any]:
    """Return what a client's method gets beside the query: parts of the path, then the body or its members."""
    if call.body is None:
        return dict(call.path)
    return {**call.path, **_as_text(call.body)} if call.has_members else {**call.path, "body": call.body}


def _as_text(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a body; the clients want params as JSON inside a string."""
    return {name: json.dumps(value) if name == "params" else value for name, value in body.items()}


def _go_typed(call: Call) -> str:
    *resources, method = (call.sdk or "").split(".")
    where = ".".join(word.capitalize() for word in resources)
    name = _GO_METHODS.get(method, method.capitalize())
    kind = "".join(word.capitalize().removesuffix("s") for word in resources[1:] or resources)
    parts = [f"\t\t{_go(value)},\n" for key, value in call.path.items() if key != _ACCOUNT]
    account = call.path.get(_ACCOUNT, "")
    return (
        f"\tanswer, err := client.{where}.{name}(\n\t\tcontext.Background(),\n{''.join(parts)}"
        f"\t\tworkflows.{kind}{name}Params{{AccountID: cloudflare.F({_go(account)})}},\n\t)\n"
    )


def _go_by_path(call: Call) -> str:
    path = _go(call.target.removeprefix(f"{_PREFIX}/"))
    body = "nil" if call.body is None else f"json.RawMessage({_go(json.dumps(call.body))})"
    return (
        "\tvar answer map[string]any\n"
        f"\terr := client.{call.method.capitalize()}(context.Background(), {path}, {body}, &answer)\n"
    )


def _py(value: Any) -> str:
    text = json.dumps(value)
    # What JSON writes in its own way, Python does not read.
    return repr(value) if re.search(r"\b(?:true|false|null)\b", text) else text


def _ts(value: Any) -> str:
    if isinstance(value, str):
        return "'" + json.dumps(value)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
    return json.dumps(value)


def _go(value: str) -> str:
    return f"`{value}`" if '"' in value and "`" not in value else json.dumps(value)
