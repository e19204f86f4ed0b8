"""What was found, as a picture: for each work a line from the lowest round to the highest, and a dot at the median.

The scale is logarithmic. Colours are those of the reader's scheme, light or dark, and of neither there is a background.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from html import escape

from bench.engines import TITLES
from bench.rounds import Run
from bench.table import WORKS, figures, measured

_PANELS = ("W1", "W2", "W3", "W4", "W5", "W6", "W7", "idle")
_COLUMNS = 2
_WIDTH, _LABELS, _VALUES, _ROW, _HEAD, _FOOT = 520, 190, 60, 18, 44, 30
_STYLE = """\
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-weight: 600; fill: #24292f }
  .grid { stroke: #8c959f; stroke-opacity: .3 }
  .other { stroke: #6e7781; fill: #6e7781 }
  .own { stroke: #0969da; fill: #0969da }
  text.own { stroke: none; fill: #0969da }
  line.own, line.other { stroke-width: 3; stroke-opacity: .5; stroke-linecap: round }
  .value, .tick { font-size: 11px }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .title { fill: #f0f6fc }
    .other { stroke: #9198a1; fill: #9198a1 }
    .own, text.own { stroke: #4493f8; fill: #4493f8 }
    text.own { stroke: none }
  }"""


def render(run: Run) -> str:
    """Return the picture as SVG."""
    works = [work for work in _PANELS if any(figures(run, one, work, WORKS[work].figure) for one in measured(run))]
    height = _HEAD + _ROW * len(measured(run)) + _FOOT
    rows = math.ceil(len(works) / _COLUMNS)
    size = f"{_WIDTH * _COLUMNS} {height * rows}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">',
        "<title>Stepwell and other engines, work by work</title>",
        f"<style>\n{_STYLE}\n</style>",
    ]
    for place, work in enumerate(works):
        row, column = divmod(place, _COLUMNS)
        lines += [f'<g transform="translate({column * _WIDTH} {row * height})">', *_panel(run, work), "</g>"]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(run: Run, work: str) -> Iterator[str]:
    told = WORKS[work]
    engines = [engine for engine in measured(run) if figures(run, engine, work, told.figure)]
    found = {engine: figures(run, engine, work, told.figure) for engine in engines}
    low, high = decades([value for values in found.values() for value in values])
    better = "more" if told.is_rate else "less"
    yield _text(0, 16, f"{work}: {told.title}", "title")
    yield _text(0, 32, f"{told.unit}; {better} is better", "tick")
    bottom = _HEAD + _ROW * len(engines)
    for decade in range(low, high + 1):
        x = _place(10.0**decade, low, high)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD}" y2="{bottom}"/>'
        yield _text(x, bottom + 14, f"{10.0**decade:,g}", "tick", "middle")
    for place, (engine, values) in enumerate(found.items()):
        yield from _values(engine, values, _HEAD + _ROW * place + _ROW / 2, (low, high))


def _values(engine: str, values: Sequence[float], y: float, scale: tuple[int, int]) -> Iterator[str]:
    kind = "own" if engine.startswith("stepwell") else "other"
    left, right, median = (_place(value, *scale) for value in (min(values), max(values), statistics.median(values)))
    yield _text(_LABELS - 10, y + 4, TITLES[engine].replace("`", ""), "own" if kind == "own" else "", "end")
    yield f'<line class="{kind}" x1="{left:.1f}" x2="{right:.1f}" y1="{y:g}" y2="{y:g}"/>'
    yield f'<circle class="{kind}" cx="{median:.1f}" cy="{y:g}" r="4"/>'
    shown = (
        f"{statistics.median(values):,.3g}" if statistics.median(values) < 100 else f"{statistics.median(values):,.0f}"
    )
    yield _text(right + 9, y + 4, shown, "value")


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten that values lie between, at least one apart."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _place(value: float, low: int, high: int) -> float:
    return _LABELS + (math.log10(value) - low) / (high - low) * (_WIDTH - _LABELS - _VALUES)


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
