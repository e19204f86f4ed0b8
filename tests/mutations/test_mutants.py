"""The tests of the promises fail where the promises are broken: each way of breaking one that is kept is caught."""

import ast
import shutil
from pathlib import Path

import pytest

from tests.mutations.mutants import MUTANTS, SOURCES, Mutant
from tests.mutations.running import outcome_of

INVARIANTS = range(1, 15)
_EACH = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


def test_each_invariant_is_broken_in_a_way_of_its_own() -> None:
    """There is one for each, and no two have a name in common."""
    assert {mutant.promise for mutant in MUTANTS} == set(INVARIANTS)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_each_mutant_can_be_made(tmp_path: Path) -> None:
    """What it changes is in the source, once, and Python is Python afterwards; the test that catches it is there."""
    for mutant in MUTANTS:
        (tmp_path / mutant.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCES / mutant.file, tmp_path / mutant.file)

        mutant.apply(tmp_path)

        text = (tmp_path / mutant.file).read_text("utf-8")
        assert text != (SOURCES / mutant.file).read_text("utf-8")
        if mutant.file.endswith(".py"):
            ast.parse(text)
        file, _, name = mutant.caught_by.partition("::")
        assert f"def {name}(" in Path(file).read_text("utf-8"), mutant.name


@pytest.mark.long
@pytest.mark.timeout(300)
@_EACH
def test_mutant_is_caught(mutant: Mutant) -> None:
    """Its test fails of it."""
    outcome = outcome_of(mutant)

    assert outcome.is_caught, f"python -m tests.mutations {mutant.name}: {outcome.said}\n{outcome.output}"


@pytest.mark.long
def test_source_as_it_is_passes_and_what_cannot_be_run_is_not_caught() -> None:
    """A test that is not there, or that passes, has caught nothing."""
    as_it_is = outcome_of(None, "tests/core/test_durations.py")
    gone = outcome_of(None, "tests/core/test_durations.py::test_that_is_not_there")

    assert (as_it_is.said, as_it_is.is_caught) == ("NOT caught", False)
    assert (gone.said, gone.is_caught) == ("not run", False)
