"""The request that the samples of an operation make."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

PREFIX = "/client/v4"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to make: path and query with the values of the example, and the JSON of its body.

    `body` None: there is none. `has_members`: the members of the body are parameters of the clients' method.
    `sdk`: that method; None: the clients have none. `is_socket`: it asks for a WebSocket.
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
    is_socket: bool
    # The parts of a form: what is JSON, and files, by their names.
    form: Mapping[str, Any] | None = None

    @property
    def target(self) -> str:
        """The path with its parts filled in, and the query behind it."""
        path = self.pattern.format(**{name: quote(value, safe="") for name, value in self.path.items()})
        return f"{path}?{urlencode(self.query)}" if self.query else path

    @property
    def base(self) -> str:
        """What Cloudflare's clients have to be told."""
        return self.server + PREFIX


def call_of(server: str, method: str, pattern: str, operation: Mapping[str, Any]) -> Call:
    """Return the call that the samples of an operation make."""
    needed = [given for given in operation["parameters"] if given.get("required")]
    content = operation.get("requestBody", {}).get("content", {})
    body, form = content.get("application/json"), content.get("multipart/form-data")
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
        "101" in operation["responses"],
        None if form is None else form["example"],
    )
