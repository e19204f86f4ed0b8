"""`stepwell instances pause`, `resume`, `terminate`, `restart`, `delete`: one instance or many, over the API."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from stepwell.cli.consent import Consent
from stepwell.cli.failures import FAILED, failure_of, reason_of
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.progress import Interrupt, Progress, Stand, interruptible
from stepwell.cli.targets import Targets
from stepwell.cli.terminal import say
from stepwell.client import Result
from stepwell.errors import RequestRefused, StepwellError, WorkflowNotFound

_COLUMNS = (
    Column("instance", lambda item: str(item["id"])),
    Column("status", lambda item: str(item["status"]), is_status=True),
)
_NOT_ALLOWED = {401, 403}
_NOT_FOUND = 404

# What became of an instance, or why nothing did.
Outcome = Item | tuple[str, RequestRefused]


def change(targets: Targets, asked: Mapping[str, Any], consent: Consent, out: Output) -> int:
    """Ask the same change of each instance, if that is wanted; return the exit code."""
    if not consent.covers(asked["status"], targets, out):
        return 0
    if len(targets.ids) == 1:
        return _show_one(_change(targets, targets.ids[0], asked), out)
    return _show_many(targets, (_change(targets, id, asked) for id in targets.ids), out, asked["status"])


def resume_rollback(targets: Targets, out: Output) -> int:
    """Go on with the failed rollback of each instance; return the exit code."""
    if len(targets.ids) == 1:
        return _show_one(_resume_rollback(targets, targets.ids[0]), out)
    return _show_many(targets, (_resume_rollback(targets, id) for id in targets.ids), out, "resume-rollback")


def delete(targets: Targets, consent: Consent, out: Output) -> int:
    """Delete each instance, if that is wanted; return the exit code."""
    if not consent.covers("delete", targets, out):
        return 0
    if len(targets.ids) == 1:
        return _show_one(_delete(targets, targets.ids[0]), out)
    return _show_many(targets, _delete_many(targets), out, "delete")


def _change(targets: Targets, id: str, asked: Mapping[str, Any]) -> Outcome:
    return _outcome(id, lambda: targets.client.change_status(targets.workflow, id, asked))


def _resume_rollback(targets: Targets, id: str) -> Outcome:
    return _outcome(id, lambda: targets.client.resume_rollback(targets.workflow, id))


def _outcome(id: str, ask: Callable[[], Result]) -> Outcome:
    try:
        return {"id": id, **ask()}
    except RequestRefused as refusal:
        if _is_about_all(refusal):
            raise
        return id, refusal


def _delete(targets: Targets, id: str) -> Outcome:
    try:
        targets.client.delete_instance(targets.workflow, id)
    except RequestRefused as refusal:
        return id, refusal
    return _deleted(id)


def _delete_many(targets: Targets) -> Iterator[Outcome]:
    for answer in targets.client.delete_instances(targets.workflow, targets.ids):
        yield from (_deleted(one["id"]) for one in answer["deleted"])
        for one in answer["errors"]:
            yield one["id"], RequestRefused(_NOT_FOUND, one["code"], one["message"])


def _deleted(id: str) -> Item:
    return {"id": id, "status": "deleted"}


def _is_about_all(refusal: RequestRefused) -> bool:
    """Tell whether each other instance would be refused for the same reason."""
    return refusal.status in _NOT_ALLOWED or refusal.error_code == WorkflowNotFound.code


def _show_one(outcome: Outcome, out: Output) -> int:
    """Print what became of the only instance. Raises Failure if nothing did."""
    if isinstance(outcome, tuple):
        id, refusal = outcome
        raise failure_of(refusal, id=id) from refusal
    out.show_all([outcome], _COLUMNS)
    return 0


def _show_many(targets: Targets, outcomes: Iterable[Outcome], out: Output, verb: str) -> int:
    """Print what became of instances, and beside that why nothing became of others; return the exit code.

    Raises what ends all of it; what was done before is shown all the same.
    """
    tried = failed = 0
    end: BaseException | None = None
    total = len(targets.ids)

    def done(progress: Progress, interrupt: Interrupt) -> Iterator[Item]:
        nonlocal tried, failed, end
        try:
            for tried, outcome in enumerate(outcomes, 1):
                if isinstance(outcome, tuple):
                    failed += 1
                    progress.say(f"error: {outcome[0]}: {reason_of(outcome[1])}")
                else:
                    yield outcome
                progress.tell(Stand(tried, failed, total))
                if interrupt.is_wanted and tried < total:
                    raise KeyboardInterrupt  # noqa: TRY301 - as if it had come now
        except (StepwellError, KeyboardInterrupt) as error:
            end = error
        progress.clear()

    with Progress(verb, is_shown=not out.is_line_by_line) as progress, interruptible(progress.say) as interrupt:
        count = out.show_all(done(progress, interrupt), _COLUMNS)
    if failed or end is not None:
        say(f"done: {count} of {total}")
    if isinstance(end, KeyboardInterrupt) and tried < total:
        say(f"left: {total - tried}, from {targets.ids[tried]} on")
    if end is not None:
        raise end
    return FAILED if failed else 0
