"""What Sphinx is told.

Pages are written for whoever reads them in the repository; what only the site needs is added here.
"""

import re
from posixpath import dirname, join, normpath

from sphinx.application import Sphinx

from tools import pages

_ROOT = pages.DOCS.parent
_FRONT = f"docs/{pages.FRONT}"
_PAGES = [normpath(f"docs/{path}") for paths in pages.sections().values() for path in paths]
_LINK = re.compile(r"\[([^]]+)\]\((?!\w+:|#)([^)#]+)(#[^)]*)?\)")

project = html_title = "Stepwell"
extensions = ["myst_parser"]
root_doc = _FRONT.removesuffix(".md")
include_patterns = _PAGES
# Nothing else is looked through.
exclude_patterns = [path.name for path in _ROOT.iterdir() if path.is_dir() and path.name != "docs"]

# As in the repository: each heading can be linked to, and what has no language has no colours.
myst_heading_anchors = 6
highlight_language = "text"

html_theme = "furo"
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}
html_static_path = ["style.css"]
html_css_files = ["style.css"]
templates_path = ["."]
html_additional_pages = {"index": "index.html"}
# A summary of what was found would be fetched, which no browser does from a file.
html_show_search_summary = False
html_copy_source = html_show_copyright = html_show_sphinx = html_use_index = False


def setup(app: Sphinx) -> None:
    """Have each page read with what is added to it."""
    app.connect("source-read", _read)


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = _LINK.sub(lambda link: _linked(link, dirname(page)), source[0])
    if page == app.config.root_doc:
        source[0] += _contents()


def _linked(link: re.Match[str], folder: str) -> str:
    """Return a link as the site has it.

    A page's title stands for its file's name, a file that is no page is loaded, and to a folder there is no link.
    """
    text, path, heading = link.groups(default="")
    target = normpath(join(folder, path))
    if (_ROOT / target).is_dir():
        return text
    if target.endswith(".md") and target not in _PAGES:
        return f"[{text}](path:{path})"
    return f"[{'' if text.endswith('.md') else text}]({path}{heading})"


def _contents() -> str:
    """Return the navigation, which the front page has for all pages."""
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {section}\n\n"
        + "".join(f"{path}\n" if path != pages.FRONT else "Start here <self>\n" for path in paths)
        + "```\n"
        for section, paths in pages.sections().items()
    )
