"""Every work of Stepwell, on real servers at a tiny size: that it is measured, and how fast is nobody's promise."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.__main__ import measure_all
from bench.driver import WORKS
from bench.engines import ENGINES
from tests import postgres

TINY = 0.002
OWN = {engine.name: engine for engine in ENGINES if not engine.peer}


def _unmeasured(name: str, works: tuple[str, ...], folder: Path) -> dict[str, str]:
    """Measure an engine; return the works without figures, each with why."""
    run = measure_all([(1, OWN[name], works)], TINY, folder)
    found = {one.work: one.failed or "without figures" * (not one.figures) for one in run.found}
    return {work: found.get(work, run.missing.get(name, "no answer")) for work in works if found.get(work) != ""}


def test_each_work_is_measured_on_a_file(tmp_path: Path) -> None:
    """`stepwell dev` with one worker."""
    assert _unmeasured("stepwell-sqlite", ("W1", "W2", "W3", "W4", "W6", "W7"), tmp_path) == {}


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("name", "works"),
    [
        pytest.param("stepwell-sqlite", (*WORKS, "large"), id="dev"),
        pytest.param("stepwell-serve", (*WORKS, "large"), id="serve"),
        pytest.param("stepwell-postgres", (*WORKS, "large"), id="postgres"),
        pytest.param("machine", ("machine",), id="machine"),
    ],
)
def test_each_shape_does_all_works(
    tmp_path: Path, require: Callable[..., None], name: str, works: tuple[str, ...]
) -> None:
    """Sleepers and the large sizes too, of which the least takes half a minute."""
    require(postgres.REASON, "a store in it", not OWN[name].needs_database or postgres.is_local())

    assert _unmeasured(name, works, tmp_path) == {}
