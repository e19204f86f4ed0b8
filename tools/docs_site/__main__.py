"""Build the site into a folder, and fail with what is wrong with it: `python -m tools.docs_site site`."""

import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from tools import llms, pages
from tools.docs_site.checks import problems

_ROOT = pages.DOCS.parent
# What Sphinx and Furo leave out that people need who do not see the page, or have no mouse.
_MENDED = {
    'role="heading"': 'role="heading" aria-level="2"',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Pages">',
    "<pre>": '<pre tabindex="0">',
}


def build(site: Path) -> int:
    """Build it anew. Returns an exit code: a link that leads nowhere is an error, like any warning of Sphinx."""
    if site.exists() and not (site / "index.html").exists():
        print(f"{site} is no site: remove it first, or name another folder", file=sys.stderr)
        return 1
    shutil.rmtree(site, ignore_errors=True)
    with tempfile.TemporaryDirectory() as kept:
        told = ["-q", "-W", "--keep-going", "-c", str(Path(__file__).parent), "-d", kept]
        code = build_main([*told, str(_ROOT), str(site)])
    if code:
        return code
    _mend(site)
    _add_what_models_read(site)
    wrong = [*problems(site)]
    for problem in wrong:
        print(problem, file=sys.stderr)
    return int(bool(wrong))


def _mend(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        for left, mended in _MENDED.items():
            text = text.replace(left, mended)
        page.write_text(text, encoding="utf-8")


def _add_what_models_read(site: Path) -> None:
    """Put beside each page what it is made of, and above all of them what leads to these."""
    for path in (path for paths in pages.sections().values() for path in paths):
        place = (site / "docs" / path).resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pages.DOCS / path, place)
    (site / "llms.txt").write_text(llms.page("docs"), encoding="utf-8")
    (site / "llms-full.txt").write_text(llms.full(), encoding="utf-8")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    failed = build(place)
    if not failed:
        print(f"see {place / 'index.html'}")
    sys.exit(failed)
