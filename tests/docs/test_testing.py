"""What docs/testing.md shows runs as it is shown."""

import os
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

from stepwell.testing import TestEngine
from stepwell.testing.stand_ins import Modifiers

PAGE = (Path(__file__).parent.parent.parent / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_passes(tmp_path: Path) -> None:
    """Each is a file of tests, and pytest runs it with nothing but the kit's own plugin."""
    for number, block in enumerate(BLOCKS):
        (tmp_path / f"test_block_{number}.py").write_text(block)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-Werror", "-p", "stepwell.testing.plugin"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    tests = sum(len(re.findall(r"^ *(?:async )?def test_", block, re.MULTILINE)) for block in BLOCKS)
    assert f"{tests} passed" in done.stdout, done.stdout


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
