"""Reads that go through as many rows as there are, and how long they may take.

A list with a bound in time looks, for its total, at every row that matches; what is counted by status, at all that have
not ended; a page far behind, at all before it. They read on a connection that others wait for, so they are given up
where their caller would long be gone; whatever else is read has a bound of its own, and takes as long as it takes.
"""

from typing import Any

from stepwell import durations
from stepwell.errors import PageTooSlow
from stepwell.store.operations import GetWorkflow, ListInstances, ListWorkflows, Operation
from stepwell.store.search_operations import SearchInstances
from stepwell.store.workflow_operations import ListVersions

_FEWER_WORKFLOWS = "ask for fewer of them, with `search` or a lower `per_page`"
# What each is to people, and how they get less of it.
_PAGES: dict[type[Operation[Any]], tuple[str, str]] = {
    ListInstances: (
        "the list of instances",
        "ask for fewer of them, by `status`, `date_start` or `date_end`, or go on with `cursor` instead of `page`",
    ),
    SearchInstances: ("the search for instances", "search in one workflow, or ask for a lower `per_page`"),
    ListWorkflows: ("the list of workflows", _FEWER_WORKFLOWS),
    ListVersions: ("the list of versions", "ask for a lower `page`"),
    GetWorkflow: ("the count of a workflow's instances", "list its instances by `status`"),
}


def is_page(operation: Operation[Any]) -> bool:
    """Tell whether a read is one that is given up when it takes too long."""
    return type(operation) in _PAGES


def too_slow(operation: Operation[Any], timeout_ms: int) -> PageTooSlow:
    """Return the error for a page that was given up."""
    what, remedy = _PAGES[type(operation)]
    return PageTooSlow(
        f"{what} took longer than {durations.in_words(timeout_ms)}: {remedy}, or raise the setting page_timeout"
    )
