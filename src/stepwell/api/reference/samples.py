"""How to make a request in several languages, made from what the document says of an operation.

A sample of Cloudflare's clients calls the method that they have for it; where they have none there is no sample.

Source: the official clients: github.com/cloudflare/cloudflare-python, cloudflare-typescript, and
developers.cloudflare.com/workers/wrangler/commands/workflows/
"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from stepwell.api.reference import go
from stepwell.api.reference.call import Call

# What the clients want as JSON in a text.
_TEXTS = ("params",)
# What these give, one by one; one that is called a list is no page.
_PAGED = (".list", ".bulk")
_NOT_PAGED = ("workers.scripts.deployments.list",)


def all_of(call: Call, commands: list[str]) -> dict[str, str]:
    """Return the samples by language."""
    if call.is_socket:
        return {"websockets": websockets(call)}
    samples = {"curl": curl(call)}
    if call.sdk is not None:
        samples |= {"Python": python(call, call.sdk), "TypeScript": typescript(call, call.sdk)}
    in_go = go.sample(call)
    if in_go is not None:
        samples["Go"] = in_go
    return samples | _programs(call, commands)


def curl(call: Call) -> str:
    """Return a command line."""
    lines = [f"curl {shlex.quote(call.server + call.target)}"]
    if call.method != "GET":
        lines[0] = f"curl -X {call.method} {shlex.quote(call.server + call.target)}"
    if not call.is_open:
        lines.append('-H "Authorization: Bearer $CLOUDFLARE_API_TOKEN"')
    if call.body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(call.body))}"]
    for name, part in (call.form or {}).items():
        is_file = isinstance(part, str)
        said = f"{name}=@{name}" if is_file else f"{name}={json.dumps(part)};type=application/json"
        lines.append(f"-F {shlex.quote(said)}")
    return " \\\n  ".join(lines)


def websockets(call: Call) -> str:
    """Return a program for the package websockets for Python."""
    return (
        "import os\n\nfrom websockets.sync.client import connect\n\nwith connect(\n"
        f"    {_py(call.server.replace('http', 'ws', 1) + call.target)},\n"
        '    additional_headers={"Authorization": f"Bearer {os.environ[\'CLOUDFLARE_API_TOKEN\']}"},\n'
        ") as socket:\n    for event in socket:\n        print(event)"
    )


def python(call: Call, method: str) -> str:
    """Return a program for Cloudflare's client for Python."""
    head = (
        "import os\n\nfrom cloudflare import Cloudflare\n\nclient = Cloudflare(\n"
        f"    base_url={_py(call.base)},\n"
        '    api_token=os.environ["CLOUDFLARE_API_TOKEN"],\n)\n'
    )
    given = {**_arguments(call), **call.query}
    lines = "".join(f"    {name}={_py(value)},\n" for name, value in given.items())
    arguments = f"\n{lines}" if lines else ""
    if _gives_many(method):
        return f"{head}for one in client.{method}({arguments}):\n    print(one)"
    return f"{head}answer = client.{method}({arguments})\nprint(answer)"


def typescript(call: Call, method: str) -> str:
    """Return a program for Cloudflare's client for TypeScript."""
    head = (
        "import Cloudflare from 'cloudflare';\n\nconst client = new Cloudflare({\n"
        f"  baseURL: {_ts(call.base)},\n"
        "  apiToken: process.env['CLOUDFLARE_API_TOKEN'],\n});\n\n"
    )
    given = {**_arguments(call), **call.query}
    # The last part of the path comes by itself; it is the account only where nothing else is in the path.
    last = list(call.path)[-1] if len(call.path) > 1 else None
    first = "" if last is None else _ts(given.pop(last))
    lines = "".join(f"  {name}: {_ts(value)},\n" for name, value in given.items())
    arguments = ", ".join(part for part in (first, f"{{\n{lines}}}" if lines else "") if part)
    if _gives_many(method):
        return f"{head}for await (const one of client.{method}({arguments})) {{\n  console.log(one);\n}}"
    return f"{head}const answer = await client.{method}({arguments});\nconsole.log(answer);"


def _gives_many(method: str) -> bool:
    return method.endswith(_PAGED) and method not in _NOT_PAGED


def _programs(call: Call, commands: list[str]) -> dict[str, str]:
    """Return commands that do the same, by program, behind what the program has to be told."""
    ours = [f"export STEPWELL_URL={shlex.quote(call.server)}", 'export STEPWELL_TOKEN="$CLOUDFLARE_API_TOKEN"']
    wranglers = [f"export CLOUDFLARE_API_BASE_URL={shlex.quote(call.base)}"]
    told = (("CLI", "stepwell ", ours), ("wrangler", "npx wrangler ", wranglers))
    return {
        name: "\n".join([*settings, *used])
        for name, start, settings in told
        if (used := [command for command in commands if command.startswith(start)])
    }


def _arguments(call: Call) -> dict[str, Any]:
    """Return what a client's method gets beside the query: parts of the path, then the body or its members."""
    if call.body is None:
        return dict(call.path)
    if call.has_members:
        return {**call.path, **_with_texts(call.body)}
    return {**call.path, "body": [*map(_with_texts, call.body)] if isinstance(call.body, list) else call.body}


def _with_texts(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if name in _TEXTS else value for name, value in members.items()}


def _py(value: Any) -> str:
    text = json.dumps(value)
    # What JSON writes in its own way, Python does not read.
    return repr(value) if re.search(r"\b(?:true|false|null)\b", text) else text


def _ts(value: Any) -> str:
    if isinstance(value, str):
        return "'" + json.dumps(value)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
    return json.dumps(value)
