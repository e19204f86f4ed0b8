"""How a drawing looks: the style sheet of `svg`, which is the same for each graph.

Colours are custom properties. They follow the system's theme, unless the drawing has the class `light` or `dark`.
"""

_LIGHT = (
    "--page:#fff;--panel:#f6f7f9;--text:#14181f;--muted:#5b6472;--line:#64748b;--frame:#c2c9d4;--accent:#1d4ed8;"
    "--queued:#475569;--running:#1d4ed8;--waiting:#92400e;--paused:#6d28d9;--complete:#166534;--errored:#b91c1c;"
    "--terminated:#374151;--back:#9a3412"
)
_DARK = (
    "--page:#0f1216;--panel:#171b21;--text:#e6e9ef;--muted:#98a2b3;--line:#8a94a6;--frame:#3a4350;--accent:#7aa2ff;"
    "--queued:#94a3b8;--running:#7aa2ff;--waiting:#f5b84b;--paused:#c4a7ff;--complete:#5fd38d;--errored:#ff8a85;"
    "--terminated:#a3adba;--back:#ff9d5c"
)
_COLORS = {
    "queued": "queued",
    "running": "running",
    "waiting": "waiting",
    "paused": "paused",
    "waitingForPause": "paused",
    "complete": "complete",
    "errored": "errored",
    "terminated": "terminated",
    "rollingBack": "back",
}
_RULES = """
{g}{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:13px}
{g} text{fill:var(--text);stroke:none}
{g} .detail{fill:var(--muted);font-size:11px}
{g} .code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:11.5px}
{g} .centered{text-anchor:middle}
{g} .page{fill:var(--page)}
{g} .box{fill:var(--page);stroke:var(--line);stroke-width:1.25}
{g} .edge{fill:none;stroke:var(--line);stroke-width:1.25}
{g} .waits{stroke:var(--accent)}
{g} .start>.box{fill:var(--text);stroke:var(--text)}
{g} .start>text{fill:var(--page)}
{g} .start>.name{font-weight:600}
{g} .sleep>.box{stroke-dasharray:6 4}
{g} .wait>.box{stroke-width:2;stroke-dasharray:.1 4;stroke-linecap:round}
{g} .more>.box{fill:none;stroke-dasharray:2 3}
{g} .end>.box{fill:var(--muted);stroke:none}
{g} .end>text{fill:var(--page)}
{g} .stop>.box{fill:var(--line);stroke:none}
{g} .group>.box,{g} .lane>.box{stroke:var(--frame);stroke-width:1}
{g} .odd>.box{fill:var(--panel)}
{g} .loop>.box{stroke:var(--line);stroke-width:1.5;stroke-dasharray:7 4}
{g} .helper>.box{stroke:var(--line)}
{g} .parallel>.box{stroke:var(--accent)}
{g} .faint>.box{stroke:var(--frame)}
{g} .faint>text{fill:var(--muted)}
{g} .end.faint>.box{fill:var(--panel)}
{g} .mark{font-weight:600}
{g} .sign{fill:none;stroke-width:1.5}
{g} .queued>.sign{stroke-dasharray:1.5 1.5}
{g} [tabindex]:focus{outline:none}
{g} [tabindex]:focus-visible>.box{stroke:var(--accent);stroke-width:3;stroke-dasharray:none}
"""


_GRAPH = ".stepwell-graph"


def _colors() -> str:
    themes = (
        f"{_GRAPH}{{{_LIGHT}}}",
        f"@media (prefers-color-scheme:dark){{{_GRAPH}:not(.light){{{_DARK}}}}}",
        f"{_GRAPH}.dark{{{_DARK}}}",
    )
    return "".join(themes)


def _shapes() -> str:
    statuses = (
        f"{_GRAPH} .{status}>.box,{_GRAPH} .{status}>.sign{{stroke:var(--{color})}}"
        f"{_GRAPH} .{status}>.mark{{fill:var(--{color})}}"
        for status, color in _COLORS.items()
    )
    return "".join((_RULES.replace("{g}", _GRAPH).replace("\n", ""), *statuses))


# For a page that gives the colours itself.
SHAPES = _shapes()
STYLE = _colors() + SHAPES
