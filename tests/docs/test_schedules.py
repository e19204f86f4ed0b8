"""What docs/schedules.md shows runs as it is shown."""

import tomllib

from stepwell import cron, wrangler
from stepwell.store.operations import ListInstances
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from tests.docs.snippets import shown

(CLASS,), (FILE,) = shown("docs/schedules.md", "python"), shown("docs/schedules.md", "toml")


async def test_class_of_the_page_fires() -> None:
    """The class that is shown has an instance for each working day, which returns what it says."""
    names: dict[str, type] = {"__name__": "tests.docs.test_schedules"}  # type: ignore[dict-item]  # a module's name
    exec(compile(CLASS, "schedules.md", "exec"), names)

    async with TestEngine.open([names["Report"]]) as engine:
        await engine.advance("7 days")
        found = (await engine.store.run(ListInstances(ACCOUNT, "report", 10, ascending=True))).rows

        assert len(found) == 5
        first: TestInstance = engine.instance(names["Report"], found[0].id)
        assert await first.output() == "0 9 * * MON-FRI at 1790067600000"
        assert first.id == "0 9 * * MON-FRI-1790067600000"


def test_wrangler_file_of_the_page_is_read() -> None:
    """The expressions that the file has are those of the workflow."""
    config = tomllib.loads(FILE)

    assert wrangler.schedules(config, "it") == {"report": ("0 9 * * MON-FRI", "*/30 * * * *")}


def test_signs_of_the_page_are_right() -> None:
    """Each sign that is named is taken, and what is said to be refused is."""
    for weekday in ("FRIL", "MON#2", "1-7", "SUN-SAT"):
        cron.check(f"0 0 * * {weekday}")
    for day in ("L", "LW"):
        cron.check(f"0 0 {day} * *")
    assert cron.in_words("0 0 * * 1") == "At 00:00 on Sunday"
