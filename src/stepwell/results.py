"""What a server answers with, as values and as the JSON that it wrote."""

import json
import re
from collections.abc import Iterator
from typing import Any

_DECODER = json.JSONDecoder()
# What stands between the values of a JSON text.
_BETWEEN = re.compile(r"[\s,:]*")


class Result(dict[str, Any]):
    """An object that a server answers with. `text` is its JSON as the server wrote it, digit for digit."""

    def __init__(self, value: Any, text: str) -> None:
        super().__init__(value if isinstance(value, dict) else {})
        self.text = text

    def text_of(self, member: str) -> str:
        """Return the JSON of a member as the server wrote it. Raises KeyError."""
        return _members_in(self.text)[member]

    def object_of(self, member: str) -> "Result":
        """Return a member that is an object; an empty one if it is none."""
        return Result(self[member], self.text_of(member)) if member in self else Result(None, "null")

    def objects_of(self, member: str) -> "list[Result]":
        """Return the objects of a member that is an array; none if it is no array."""
        is_array = isinstance(self.get(member), list)
        return [Result(one, its_text) for one, its_text in _values_in(self.text_of(member))] if is_array else []


def _members_in(text: str) -> dict[str, str]:
    """Return the members of a JSON object: the text of each by its name."""
    parts = list(_values_in(text))
    return {name: member for (name, _), (_, member) in zip(parts[::2], parts[1::2], strict=True)}


def _values_in(text: str) -> Iterator[tuple[Any, str]]:
    """Yield what is in a JSON array, or the names and members of an object: each value with its text.

    The text is one of those, and has been decoded before.
    """
    at = text.index("[" if text.lstrip().startswith("[") else "{") + 1
    while text[at := at + len(_BETWEEN.match(text, at)[0])] not in "]}":  # type: ignore[index]  # it matches nothing, too
        value, end = _DECODER.raw_decode(text, at)
        yield value, text[at:end]
        at = end
