"""What the members mean of hosts, as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]


def _count(description: str, example: int) -> Meaning:
    return {"description": description, "minimum": 0, "examples": [example]}


def _moment(description: str) -> Meaning:
    return {"description": description, "format": "date-time", "examples": ["2026-11-23T10:00:00.130Z"]}


OF_HOSTS: Mapping[str, Mapping[str, Meaning]] = {
    "StoreHosts": {
        "hosts": {"description": "Those that are alive first, the latest first; up to 100."},
        "waiting": {"description": "What waits of the account; of all, with the permission `metrics`."},
        "database": {"description": "What the store is kept in."},
    },
    "HostShown": {
        "id": {"description": "Its number in the store.", "examples": ["3"]},
        "name": {
            "description": "Its machine, and the number of its process there; null without the permission `metrics`.",
            "examples": ["web-1:4242"],
        },
        "version": {
            "description": "Its release of Stepwell; null: an earlier one, which did not say so.",
            "examples": ["0.1.0"],
        },
        "state": {
            "description": "`alive`, or `lost`: its lease is over, and others claim what it holds. One that ended "
            "in good order is not there any more; one that was lost is forgotten after a week.",
            "examples": ["alive"],
        },
        "opened_on": _moment("Since when it has the store open; null: an earlier release."),
        "renewed_on": _moment("When it last renewed its lease; null: of a file there is one host, and no lease."),
        "workers": _count(
            "How many worker processes it has for the account; with the permission `metrics`, in all.", 4
        ),
        "blocked_workers": _count("How many of these hang in code that blocks their event loop.", 0),
        "held": _count(
            "How many instances of the account its workers hold; with the permission `metrics`, of all.", 12
        ),
        "lag_ms": _count(
            "For how many milliseconds the first of the instances has been due that its workers could claim; 0: none "
            "waits.",
            0,
        ),
    },
    "WaitingShown": {
        "due": _count("How many instances are due and held by nobody; 10,000 stands for as many or more.", 3),
        "lag_ms": _count("For how many milliseconds the first of them has been due; 0: none is.", 40),
        "queued": _count("How many wait for a slot of a limited workflow, which are not due.", 0),
        "by_status": {
            "description": "How many instances have each status that is no end, by those that some have; 10,000 stands "
            "for as many or more.",
            "examples": [{"queued": 3, "running": 12, "waiting": 140}],
        },
    },
    "DatabaseShown": {
        "kind": {"description": "`sqlite`: a file; or `postgresql`.", "examples": ["postgresql"]},
        "version": {"description": "The database's own version.", "examples": ["17.5"]},
        "size": _count(
            "How many bytes it has on disk, without its log; null without the permission `metrics`.", 8_388_608
        ),
    },
}
