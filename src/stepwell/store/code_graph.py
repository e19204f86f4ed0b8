"""The graph of a class's code, as a store keeps it."""

import msgspec


class CodeGraph(msgspec.Struct, frozen=True, array_like=True):
    """The graph of a class's code as JSON; None: there is none, and the note says why."""

    body: str | None
    note: str = ""
