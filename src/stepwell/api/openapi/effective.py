"""What the server has been told, in the document: `{batch_instances}` in the tables stands for that setting's value."""

import re
from typing import Any

from stepwell.server_settings import SETTINGS, Settings, value_of

_SETTING = re.compile(rf"\{{({'|'.join(SETTINGS)})\}}")


def effective(part: Any, settings: Settings) -> Any:
    """Return a part of the document with values for the names of settings.

    A text that is nothing but a name becomes the number; within a text the value is in words.
    """
    match part:
        case str():
            whole = _SETTING.fullmatch(part)
            if whole is not None:
                return value_of(settings, whole[1])
            return _SETTING.sub(lambda found: SETTINGS[found[1]].in_words(value_of(settings, found[1])), part)
        case dict():
            return {name: effective(value, settings) for name, value in part.items()}
        case list() | tuple():
            return [effective(value, settings) for value in part]
        case _:
            return part
