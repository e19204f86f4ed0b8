"""docs/testing.md names all that the kit has."""

import re
from inspect import signature

from stepwell.testing import TestEngine
from stepwell.testing.stand_ins import Modifiers
from tests.docs.snippets import text_of

PAGE = text_of("docs/testing.md")


def test_every_modifier_is_in_the_table() -> None:
    """A new one needs a row."""
    said = [name for name in vars(Modifiers) if name.startswith(("mock_", "force_", "disable_"))]

    shown = re.findall(r"^\| `(\w+)\(", PAGE.split("| modifier | does |")[1].split("\n\n")[0], re.MULTILINE)

    assert sorted(shown) == sorted(said)


def test_every_option_is_in_the_table() -> None:
    """Of those that are for users: the others are for our own tests."""
    options = {
        name for name, option in signature(TestEngine.open).parameters.items() if option.kind == option.KEYWORD_ONLY
    }

    shown = set(re.findall(r"^\| `(\w+)=", PAGE, re.MULTILINE))

    assert shown == options - {"settings", "store", "clock"}
