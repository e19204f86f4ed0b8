"""What was found as Markdown, as a picture, and in the docs."""

from xml.etree import ElementTree

import msgspec
import pytest

from bench import plot, table
from bench.publish import BEGIN, END, PAGE, publish
from bench.rounds import Found, Run

MACHINE = {"date": "2026-11-28", "cores": "2", "processor": "X"}


@pytest.fixture
def run() -> Run:
    """Two rounds of two engines, of which one failed a work, a third that is not there, and a large one."""
    return Run(
        MACHINE,
        versions={"stepwell-sqlite": {"stepwell": "1.2"}, "restate": {"restate-server": "9"}},
        missing={"temporal": "not installed: python -m bench.peers.install temporal"},
        found=[
            Found(1, "machine", "machine", "1 s each", {"syncs_per_s": 3_000.0}),
            Found(1, "stepwell-sqlite", "W1", "1,000 x 10", {"per_s": 5_000.0, "cpu_s": 2.0, "bytes": 370.0}),
            Found(1, "stepwell-sqlite", "W2", "200", {"p50_ms": 4.0, "p99_ms": 9.0}),
            Found(1, "restate", "W1", "500 x 10", {"per_s": 2_500.0, "cpu_s": 3.0}),
            Found(1, "restate", "W2", failed="TimeoutError: a | b"),
            Found(2, "stepwell-sqlite", "W1", "1,000 x 10", {"per_s": 6_000.0, "cpu_s": 2.2, "bytes": 372.0}),
            Found(2, "stepwell-sqlite", "W2", "200", {"p50_ms": 6.0, "p99_ms": 11.0}),
            Found(2, "restate", "W1", "500 x 10", {"per_s": 2_600.0, "cpu_s": 3.0}),
            Found(1, "stepwell-serve", "large", "10,000 steps, 100,000 sleepers", {"replay_ms": 400.0}),
        ],
        others_cores=0.123,
        seconds=600,
    )


def test_table_has_median_spread_cost_and_ratio(run: Run) -> None:
    """Slow engines have done less, as their size tells; a column that nobody has a figure for is left out."""
    lines = table.table(run, "W1").splitlines()

    assert lines[0] == "|  | size | steps/s, median | spread | ratio | CPU, s | bytes a step |"
    assert "| Stepwell, SQLite, `dev` | 1,000 x 10 | 5,500 | 5,000 to 6,000 | 1 | 2.1 | 371 |" in lines
    assert "| Restate | 500 x 10 | 2,550 | 2,500 to 2,600 | 0.464 | 3 |  |" in lines


def test_what_was_not_measured_says_why(run: Run) -> None:
    """One that failed, and one that is not installed; what it says cannot break the table."""
    page = table.table(run, "W2")

    assert "| Restate | not measured: TimeoutError: a / b |  |  |  |  |" in page
    assert "| Temporal, its dev server | not measured: not installed: python -m bench.peers.install temporal |" in page
    assert {line.count("|") for line in page.splitlines()} == {7}


@pytest.mark.parametrize(
    ("found", "is_rate", "expected"),
    [
        pytest.param([200.0], True, 2.0, id="twice-the-rate"),
        pytest.param([200.0], False, 0.5, id="twice-the-time"),
        pytest.param([1.0, 100.0, 900.0], True, 1.0, id="of-medians"),
    ],
)
def test_ratio_says_how_much_better(found: list[float], is_rate: bool, expected: float) -> None:
    """More is better of a rate, less of a time."""
    assert table.ratio(found, [100.0], is_rate) == expected


def test_all_is_told_in_one_page(run: Run) -> None:
    """The machine, how busy others were, a summary, each work, what is large, and all versions."""
    page = table.render(run)

    assert page.startswith("date 2026-11-28, cores 2, processor X. 2 rounds in turn, in 10 minutes; others had at most")
    assert "| Stepwell, SQLite, `dev` | 5,500 | 5 |" in page
    assert "| Temporal, its dev server | not installed | not installed |" in page
    assert "## 10,000 steps, 100,000 sleepers, once" in page
    assert "| 4 KiB appended and synced, a second | 3,000 |" in page
    assert "- Restate: restate-server 9" in page
    assert "- Temporal, its dev server: not measured, not installed" in page


def test_run_is_kept_as_it_is(run: Run) -> None:
    """What was written can be read and drawn again."""
    assert msgspec.json.decode(msgspec.json.encode(run), type=Run) == run


def test_plot_has_a_dot_for_each_engine_and_work(run: Run) -> None:
    """At the median, on a line from the lowest to the highest; what failed has none."""
    picture = ElementTree.fromstring(plot.render(run))

    svg = "{http://www.w3.org/2000/svg}"
    dots = [dot.get("class") for dot in picture.iter(f"{svg}circle")]
    spans = [
        (float(line.get("x1", "")), float(line.get("x2", "")))
        for line in picture.iter(f"{svg}line")
        if line.get("class") == "own"
    ]
    places = [float(dot.get("cx", "")) for dot in picture.iter(f"{svg}circle") if dot.get("class") == "own"]
    assert dots == ["own", "other", "own"]
    assert all(left < place < right for (left, right), place in zip(spans, places, strict=True))
    assert "prefers-color-scheme: dark" in plot.render(run)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([3.0, 40.0], (0, 2), id="between"),
        pytest.param([10.0, 100.0], (1, 2), id="exact"),
        pytest.param([10.0], (1, 2), id="one"),
        pytest.param([0.02, 0.5], (-2, 0), id="small"),
    ],
)
def test_scale_has_all_values(values: list[float], expected: tuple[int, int]) -> None:
    """From the power of ten below the least to that above the most, which are never the same."""
    assert plot.decades(values) == expected


def test_docs_get_the_summary(run: Run) -> None:
    """Between its marks, again and again; the rest of the page stays."""
    page = publish(f"before\n{BEGIN}\nold\n{END}\nafter\n", run)

    assert publish(page, run) == page
    assert page.startswith(f"before\n{BEGIN}\nMedians of 2 rounds in turn, 2026-11-28, X, 2 cores;")
    assert "| Restate | 2,550 |  |" in page
    assert "Versions: stepwell 1.2, restate-server 9." in page
    assert page.endswith(f"{END}\nafter\n")
    assert "old" not in page


def test_page_without_marks_is_refused(run: Run) -> None:
    """Nothing is lost where they are missing."""
    with pytest.raises(ValueError, match="no part between"):
        publish("a page", run)


def test_page_of_the_docs_has_the_marks(run: Run) -> None:
    """The one that is written to."""
    assert "Medians of 2 rounds" in publish(PAGE.read_text("utf-8"), run)
