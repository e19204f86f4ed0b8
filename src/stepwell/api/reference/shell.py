"""What all pages of the reference share: head, style, headers, and how text becomes HTML. No script at all."""

import re
from html import escape

from stepwell import plain_page

_STYLE = """
:root {
  color-scheme: light dark; font: 15px/1.55 system-ui, sans-serif;
  --page: #ffffff; --panel: #f6f7f9; --text: #14181f; --muted: #5b6472; --line: #d8dce3; --link: #1d4ed8;
  --get: #1d4ed8; --post: #166534; --put: #92400e; --patch: #6d28d9; --delete: #b91c1c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1216; --panel: #171b21; --text: #e6e9ef; --muted: #98a2b3; --line: #2c333d; --link: #7aa2ff;
    --get: #7aa2ff; --post: #5fd38d; --put: #f5b84b; --patch: #c4a7ff; --delete: #ff8a85;
  }
}
* { box-sizing: border-box; }
body { background: var(--page); color: var(--text); margin: 0 auto; max-width: 82rem; padding: 0 1rem 4rem; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.skip { left: -99rem; position: absolute; }
.skip:focus { background: var(--page); left: 1rem; padding: .5rem; top: .5rem; }
header nav { border-bottom: 1px solid var(--line); color: var(--muted); padding: .75rem 0; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1.25rem 0 .5rem; }
h2 { border-bottom: 1px solid var(--line); font-size: 1.1rem; margin: 2rem 0 .5rem; padding-bottom: .25rem; }
h3 { color: var(--muted); font-size: .95rem; margin: 1.25rem 0 .25rem; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .92em; }
code { overflow-wrap: anywhere; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; max-height: 32rem;
  overflow: auto; padding: .75rem; }
.columns { display: grid; gap: 0 2.5rem; grid-template-columns: minmax(0, 1fr); }
@media (min-width: 64rem) {
  .columns { grid-template-columns: minmax(0, 6fr) minmax(0, 5fr); }
  .beside { align-self: start; max-height: 100vh; overflow: auto; position: sticky; top: 0; }
}
.method { font: 700 .85rem ui-monospace, Menlo, Consolas, monospace; }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); }
.patch { color: var(--patch); } .delete { color: var(--delete); }
.tag { border: 1px solid var(--line); border-radius: 6px; display: inline-block; font-size: .85rem;
  margin: 0 .35rem .35rem 0; padding: 0 .4rem; }
.muted, .type { color: var(--muted); }
.type { font-size: .88rem; }
ul.plain, ul.tree { list-style: none; margin: 0; padding: 0; }
ul.tree ul.tree { border-left: 1px solid var(--line); margin-left: .3rem; padding-left: .9rem; }
ul.tree > li { padding: .3rem 0; }
ul.plain > li { padding: .25rem 0; }
ul.tree p { margin: .1rem 0; }
summary { cursor: pointer; min-height: 24px; }
.name { font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: left; vertical-align: top; }
th { color: var(--muted); font-size: .85rem; font-weight: 600; }
.wide { overflow-x: auto; }
"""
_CODE = re.compile(r"`([^`]+)`")

HEADERS = plain_page.headers(_STYLE)


def page(title: str, way: str, body: str) -> str:
    """Return a page; `way` is how one got there and `body` what it shows, both HTML already."""
    return plain_page.document(
        f"{title} - Stepwell API",
        _STYLE,
        '<a class="skip" href="#content">Skip to content</a>'
        f'<header><nav aria-label="Breadcrumb">{way}</nav></header>'
        f'<main id="content">{body}</main>',
    )


def prose(text: str) -> str:
    """Return a sentence as HTML; what stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def code(text: str) -> str:
    """Return a block of code, which the keyboard can scroll."""
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def section(title: str, *parts: str) -> str:
    """Return parts, HTML already, below a heading; nothing without parts."""
    shown = "".join(parts)
    return f"<h2>{escape(title)}</h2>{shown}" if shown else ""
