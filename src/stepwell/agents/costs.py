"""What a model's answer took: its tokens, and what they cost.

Public prices are those that come with `genai-prices`, so nobody is asked for them. The answer is there and paid for by
then: whatever is wrong with its price, its step does not fail.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from stepwell.contexts import StepContext

# What a model's answer costs in USD, by the model's name and what the answer took; None where that is not known.
Cost = Callable[[str | None, Usage], Decimal | float | None]

# Now, as to load them while a model is asked would hold up all that the worker does.
get_snapshot()


def take_note(ctx: StepContext, model: str | None, usage: Mapping[str, Any], costs: Sequence[Cost | None]) -> None:
    """Keep with an attempt what its answer took. `usage` has the names of `Usage`; the first cost that is known counts.

    Names are OpenTelemetry's, which has none for what an answer costs.

    Source: opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/
    """
    if ctx.port is None:
        return
    ctx.set_attributes(
        {
            "gen_ai.response.model": model or None,
            "gen_ai.usage.input_tokens": usage["input_tokens"],
            "gen_ai.usage.output_tokens": usage["output_tokens"],
        }
    )
    try:
        ctx.set_attributes({"cost_usd": _first_known(model, Usage.from_raw(usage), costs)})
    except Exception as error:  # of a function that an author has given, or of what a provider has said
        problem = f"what the answer of {model} cost is not known: {type(error).__name__}: {error}"
        print(problem, file=sys.stderr)  # noqa: T201  # what steps print is kept


def public_cost(model: str | None, usage: Usage) -> Decimal | None:
    """Return what an answer costs by the public prices of the model's maker; None for a model that has none."""
    try:
        # This provider stands for whom the name says: `anthropic/claude-sonnet-4-5`.
        return calc_price(usage, model or "", provider_id="litellm").total_price
    except LookupError:
        return None


def _first_known(model: str | None, usage: Usage, costs: Sequence[Cost | None]) -> float | None:
    for cost in costs:
        if cost is not None and (amount := cost(model, usage)) is not None:
            return _in_usd(amount)
    return None


def _in_usd(amount: Decimal | float) -> float:
    if not math.isfinite(amount) or amount < 0:
        raise ValueError(f"a number of USD is needed, got {amount!r:.100}")
    return float(amount)
