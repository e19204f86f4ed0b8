"""The board for Grafana and the alerts for Prometheus ask for what is told, and for nothing else."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import grafana_board, metrics_reference

ROOT = Path(__file__).parent.parent.parent
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
# What Prometheus adds to each series itself.
OF_PROMETHEUS = {"job", "instance"}
_NAME = re.compile(r"\b(?:stepwell|process)_\w+")
_SELECTOR = re.compile(r"\b((?:stepwell|process)_\w+)\{([^}]*)\}")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_BY = re.compile(r"\bby \(([^)]*)\)")

LABELS = {
    name: {*metric.labels, *OF_PROMETHEUS, *({"le"} if end == "_bucket" else ())}
    for metric in metrics_reference.metrics()
    for end in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
    for name in (metric.name + end,)
}


def _alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _queries() -> Iterator[tuple[str, str]]:
    """Yield what is asked, each with where."""
    for row, panels in grafana_board.ROWS.items():
        for panel in panels:
            yield from ((f"{row}: {panel.title} {legend}", query) for legend, query in panel.queries.items())
    yield from ((rule["alert"], rule["expr"]) for rule in _alerts())
    guide = re.findall(r"```promql\n(.*?)```", OPERATING, re.DOTALL)
    yield from ((f"operating.md {n}", query) for n, query in enumerate(guide, 1))


def wrong(query: str) -> list[str]:
    """Return what a query names that is not there."""
    names = _NAME.findall(query)
    missing = [name for name in names if name not in LABELS]
    known = set[str]().union(*(LABELS.get(name, set()) for name in names))
    asked = [
        (LABELS.get(name, set()), label)
        for name, labels in _SELECTOR.findall(query)
        for label in _LABEL.findall(labels)
    ]
    asked += [(known, label) for labels in _BY.findall(query) for label in re.split(r"[,\s]+", labels) if label]
    return [*missing, *(label for labels, label in asked if label not in labels)]


@pytest.mark.parametrize("query", [pytest.param(query, id=place) for place, query in _queries()])
def test_query_asks_for_what_is_told(query: str) -> None:
    """Each metric and each label of board, alerts and guide is one that a server tells."""
    assert wrong(query) == []
    assert _NAME.search(query) or "up{" in query


def test_misspelt_query_is_found() -> None:
    """The check sees a metric and labels that are not there."""
    assert wrong("rate(stepwell_steps_totals[5m])") == ["stepwell_steps_totals"]
    assert wrong('sum by (wokflow) (stepwell_instances{stat="x"})') == ["stat", "wokflow"]


def test_board_is_current() -> None:
    """`make reference` writes it anew; its panels lie side by side, none over another."""
    assert grafana_board.PLACE.read_text(encoding="utf-8") == grafana_board.board(), "run `make reference`"
    places = [panel["gridPos"] for panel in json.loads(grafana_board.board())["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_guide_says_what_to_do_about_each_alert() -> None:
    """docs/operating.md names each, and no other."""
    assert sorted(set(re.findall(r"`(Stepwell[A-Z]\w+)`", OPERATING))) == sorted(rule["alert"] for rule in _alerts())


def test_prometheus_takes_the_alerts(require: Callable[..., None], tmp_path: Path) -> None:
    """`promtool` finds no mistake in the rules, and the queries of board and guide can be read."""
    require("promtool", "the check of alerts and queries")
    told = [
        {"record": f"asked:{n}", "expr": query.replace("$__rate_interval", "5m")}
        for n, (_, query) in enumerate(_queries())
    ]
    rules = tmp_path / "queries.yml"
    rules.write_text(json.dumps({"groups": [{"name": "queries", "rules": told}]}))

    checked = subprocess.run(
        ["promtool", "check", "rules", str(ALERTS), str(rules)], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
