"""Params held against the JSON Schema of their workflow, when an instance is created.

The schema is made of the type that the author gives his class. What only his code can tell (a validator of a pydantic
model) is seen when the instance begins.
"""

import uuid
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import jsonschema
import msgspec
import referencing

from stepwell.errors import InvalidInput

_SHOWN_CHARACTERS = 300

_FORMATS: dict[str, Callable[[str], object]] = {
    "date-time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "uuid": uuid.UUID,
}


class ParamsCheck:
    """Tells whether params fit a JSON Schema. It asks nobody: references lead inside the schema only."""

    def __init__(self, schema: str) -> None:
        formats = jsonschema.FormatChecker(())
        for name, read in _FORMATS.items():
            formats.checks(name, ValueError)(_reads(read))
        self._validator = jsonschema.Draft202012Validator(
            msgspec.json.decode(schema), format_checker=formats, registry=referencing.Registry()
        )

    def check(self, params: str) -> None:
        """Raise InvalidInput, with the place of what is wrong, if params (JSON text) do not fit."""
        error = jsonschema.exceptions.best_match(self._validator.iter_errors(msgspec.json.decode(params)))
        if error is not None:
            place = error.json_path.removeprefix("$")
            raise InvalidInput("params", f"body: params{place} does not fit: {error.message:.{_SHOWN_CHARACTERS}}")


def _reads(read: Callable[[str], object]) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        if isinstance(value, str):
            read(value)
        return True

    return fits
