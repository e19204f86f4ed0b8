"""Write deploy/grafana/stepwell.json, a board for Grafana: `make reference`.

What hosts count each is summed; of what all of them see alike the largest is shown.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PLACE = Path(__file__).parent.parent / "deploy" / "grafana" / "stepwell.json"

_WIDTH, _HEIGHT = 24, 7
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What the choices above the board leave of a metric.
_JOB = 'job="$job"'
_OF = f'{_JOB}, account=~"$account", workflow=~"$workflow"'
_FAILED = f'{_OF}, outcome=~"failed|timed_out|lost"'


class Panel(NamedTuple):
    """A panel: its title, its unit, and what it draws, each with a legend."""

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 8


def _rate(metric: str, by: str = "", labels: str = _OF) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def _quantile(q: float, metric: str, by: str = "", labels: str = _OF) -> str:
    return f"histogram_quantile({q:g}, {_rate(f'{metric}_bucket', f'le, {by}' if by else 'le', labels)})"


def _quantiles(metric: str, labels: str = _JOB) -> dict[str, str]:
    return {"p50": _quantile(0.5, metric, labels=labels), "p99": _quantile(0.99, metric, labels=labels)}


def _share(part: str, whole: str) -> str:
    return f"{part} / {whole}"


def _there(labels: str = _OF) -> str:
    return f"sum by (status) (max by (account, workflow, status) (stepwell_instances{{{labels}}}))"


_5XX = f'{_JOB}, status=~"5.."'
_ENDED_BADLY = f'sum(increase(stepwell_instances_ended_total{{{_OF}, outcome="errored"}}[1h]))'
_UNFINISHED = _there(f'{_OF}, status!~"complete|errored|terminated"')
_REQUESTS = "stepwell_api_requests_total"
_FAULTS = _share(_rate(_REQUESTS, labels=_5XX), _rate(_REQUESTS, labels=_JOB))
_DISK = f"min(stepwell_disk_free_bytes{{{_JOB}}} / stepwell_disk_size_bytes{{{_JOB}}})"
_ATTEMPTS = "stepwell_step_attempts_total"
_FAILING = _share(_rate(_ATTEMPTS, "workflow, step", _FAILED), _rate(_ATTEMPTS, "workflow, step"))
_SLOWEST = f"topk(10, {_quantile(0.99, 'stepwell_step_attempt_duration_seconds', 'workflow, step')})"

ROWS: dict[str, tuple[Panel, ...]] = {
    "Overview": (
        Panel("Unfinished instances", "short", {"": f"sum({_UNFINISHED})"}, "stat", 4),
        Panel("The oldest that is due", "s", {"": f"max(stepwell_oldest_due_seconds{{{_JOB}}})"}, "stat", 4),
        Panel("Errored in the last hour", "short", {"": _ENDED_BADLY}, "stat", 4),
        Panel("Workers", "short", {"": f"sum(stepwell_workers{{{_JOB}}})"}, "stat", 4),
        Panel("Requests answered with 5xx", "percentunit", {"": _FAULTS}, "stat", 4),
        Panel("Free on the fullest disk", "percentunit", {"": _DISK}, "stat", 4),
    ),
    "Instances": (
        Panel("Unfinished, by status", "short", {"{{status}}": _UNFINISHED}),
        Panel("Created a second", "short", {"{{workflow}}": _rate("stepwell_instances_created_total", "workflow")}),
        Panel("Ended a second", "short", {"{{outcome}}": _rate("stepwell_instances_ended_total", "outcome")}),
        Panel(
            "From creation to end, p95",
            "s",
            {"{{workflow}}": _quantile(0.95, "stepwell_instance_duration_seconds", "workflow")},
            width=12,
        ),
        Panel(
            "Errored a second, by workflow",
            "short",
            {"{{workflow}}": _rate("stepwell_instances_ended_total", "workflow", f'{_OF}, outcome="errored"')},
            width=12,
        ),
    ),
    "Steps": (
        Panel("Attempts a second, by outcome", "short", {"{{outcome}}": _rate(_ATTEMPTS, "outcome")}),
        Panel("Share of attempts that fail", "percentunit", {"{{workflow}} {{step}}": f"topk(10, {_FAILING})"}),
        Panel("The slowest attempts, p99", "s", {"{{workflow}} {{step}}": _SLOWEST}),
        Panel(
            "Steps that failed for good, a second",
            "short",
            {"{{workflow}} {{step}}": _rate("stepwell_steps_total", "workflow, step", f'{_OF}, outcome="failed"')},
            width=12,
        ),
        Panel(
            "Steps with all their retries, p95",
            "s",
            {
                "{{workflow}} {{step}}": "topk(10, "
                + _quantile(0.95, "stepwell_step_duration_seconds", "workflow, step")
                + ")"
            },
            width=12,
        ),
    ),
    "Queue": (
        Panel(
            "Due and not claimed, or waiting for a slot",
            "short",
            {
                "due": f"max(stepwell_due_instances{{{_JOB}}})",
                "for a slot": f"max(stepwell_slot_queue_instances{{{_JOB}}})",
            },
        ),
        Panel("The oldest that is due", "s", {"": f"max(stepwell_oldest_due_seconds{{{_JOB}}})"}),
        Panel("How late claims are", "s", _quantiles("stepwell_claim_lateness_seconds")),
    ),
    "Store": (
        Panel("Until a batch is durable", "s", _quantiles("stepwell_store_commit_seconds")),
        Panel("Operations in a batch", "short", _quantiles("stepwell_store_batch_operations")),
        Panel("Records a second", "short", {"{{instance}}": _rate("stepwell_store_records_total", "instance", _JOB)}),
        Panel("Faults a second", "short", {"{{error}}": _rate("stepwell_store_errors_total", "error", _JOB)}),
        Panel(
            "Size of the store, and what is free",
            "bytes",
            {
                "store": f"max(stepwell_store_size_bytes{{{_JOB}}})",
                "free on {{instance}}": f"stepwell_disk_free_bytes{{{_JOB}}}",
            },
        ),
        Panel("Age of what is told of the store", "s", {"{{instance}}": f"stepwell_survey_age_seconds{{{_JOB}}}"}),
    ),
    "API": (
        Panel("Requests a second, by status", "short", {"{{status}}": _rate(_REQUESTS, "status", _JOB)}),
        Panel("Until an answer is made", "s", _quantiles("stepwell_api_request_duration_seconds")),
        Panel("Streams", "short", {"{{instance}}": f"stepwell_api_streams{{{_JOB}}}"}),
        Panel(
            "The slowest routes, p99",
            "s",
            {
                "{{method}} {{route}}": "topk(5, "
                + _quantile(0.99, "stepwell_api_request_duration_seconds", "method, route", _JOB)
                + ")"
            },
            width=24,
        ),
    ),
    "Workers and hosts": (
        Panel(
            "Workers",
            "short",
            {
                "on {{instance}}": f"stepwell_workers{{{_JOB}}}",
                "blocked on {{instance}}": f"stepwell_workers_blocked{{{_JOB}}}",
            },
        ),
        Panel(
            "Workers that died, turns and leases that were lost, a minute",
            "short",
            {
                "{{reason}}": f"60 * {_rate('stepwell_worker_deaths_total', 'reason', _JOB)}",
                "turns": f"60 * {_rate('stepwell_turns_lost_total')}",
                "leases of hosts": f"60 * {_rate('stepwell_host_leases_lost_total', labels=_JOB)}",
            },
        ),
        Panel("Hosts", "short", {"{{state}}": f"max by (state) (stepwell_hosts{{{_JOB}}})"}),
        Panel("CPU of servers", "percentunit", {"{{instance}}": _rate("process_cpu_seconds_total", "instance", _JOB)}),
        Panel("Memory of servers", "bytes", {"{{instance}}": f"process_resident_memory_bytes{{{_JOB}}}"}),
        Panel(
            "Releases",
            "short",
            {"{{version}} on {{store}}": f"count by (version, store) (stepwell_build_info{{{_JOB}}})"},
        ),
    ),
}


def board() -> str:
    """Return the board as Grafana imports it."""
    told = {
        "title": "Stepwell",
        "uid": "stepwell",
        "tags": ["stepwell"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_choices())},
        "panels": list(_panels()),
    }
    return json.dumps(told, indent=1) + "\n"


def write() -> None:
    """Write the board to its place."""
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    PLACE.write_text(board(), encoding="utf-8")


def _choices() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "query": "prometheus"}
    yield _choice("job", "label_values(stepwell_build_info, job)", is_one=True)
    for name in ("account", "workflow"):
        yield _choice(name, f"label_values(stepwell_instances{{{_JOB}}}, {name})")


def _choice(name: str, query: str, *, is_one: bool = False) -> dict[str, Any]:
    choice = {"name": name, "type": "query", "datasource": _SOURCE, "query": query, "refresh": 2}
    return choice if is_one else {**choice, "multi": True, "includeAll": True, "allValue": ".*"}


def _panels() -> Iterator[dict[str, Any]]:
    number, x, y = 0, 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {"id": number, "type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1}}
        x, y = 0, y + 1
        height = 4 if panels[0].kind == "stat" else _HEIGHT
        for panel in panels:
            if x + panel.width > _WIDTH:
                x, y = 0, y + height
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            yield {"id": number, "gridPos": place, **_drawn(panel)}
            x += panel.width
        y += height


def _drawn(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for n, (legend, query) in enumerate(panel.queries.items())
        ],
    }


if __name__ == "__main__":
    write()
