"""`make docs`: pages that need no server and no network, and a build that fails when a link leads nowhere."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dashboard import browser
from tools import pages
from tools.docs_site.checks import problems

WHOLE = (
    '<h1 id="a">A</h1><a href="#a"></a><a href="https://x.example/"></a><link rel="canonical" href="https://x.example">'
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param('<a href="b.html"></a>', "b.html leads nowhere", id="page"),
        pytest.param('<a href="#b"></a>', "#b leads nowhere", id="heading"),
        pytest.param('<a href="a.html#b"></a>', "a.html#b leads nowhere", id="heading of a page"),
        pytest.param('<script src="//x.example/a.js"></script>', "loads //x.example/a.js from elsewhere", id="script"),
        pytest.param(
            '<link rel="preload" href="https://x.example/a">', "loads https://x.example/a from elsewhere", id="head"
        ),
        pytest.param('<img src="http://x.example/a">', "loads http://x.example/a from elsewhere", id="picture"),
        pytest.param(
            "<style>@import 'https://x.example/a';</style>", "loads https://x.example/a from elsewhere", id="style"
        ),
        pytest.param(
            '<p style="background: url(//x.example/a)">', "loads //x.example/a from elsewhere", id="style of one"
        ),
    ],
)
def test_what_is_wrong_with_a_page_is_found(text: str, problem: str, tmp_path: Path) -> None:
    """A link that leads nowhere, and whatever a browser would load from another host."""
    (tmp_path / "a.html").write_text(WHOLE)
    assert [*problems(tmp_path)] == []

    (tmp_path / "a.html").write_text(WHOLE + text)

    assert [*problems(tmp_path)] == [f"a.html: {problem}"]


def test_style_sheet_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """Nor a font."""
    (tmp_path / "a.css").write_text("@font-face { src: url('https://x.example/a.woff2') }")

    assert [*problems(tmp_path)] == ["a.css: loads https://x.example/a.woff2 from elsewhere"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    place = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run([sys.executable, "-m", "tools.docs_site", place], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return place


@pytest.mark.long
@pytest.mark.timeout(180)
def test_site_has_each_page(site: Path) -> None:
    """In the navigation of each, and, for models, as what it was made of."""
    front = (site / "docs" / "start.html").read_text("utf-8")
    paths = [path for paths in pages.sections().values() for path in paths]

    assert [path for path in paths if not (site / "docs" / path).with_suffix(".html").is_file()] == []
    assert [path for path in paths if path != pages.FRONT and f'href="{path[:-3]}.html"' not in front] == []
    assert [path for path in paths if not (site / "docs" / path).is_file()] == []
    assert "(docs/authoring.md)" in (site / "llms.txt").read_text("utf-8")
    assert "<!-- docs/authoring.md -->\n\n# Writing" in (site / "llms-full.txt").read_text("utf-8")


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_site_is_read_without_a_server(site: Path, require: Callable[..., None]) -> None:
    """From a file: it is searched, is dark where that is wanted, fits a phone, keeps nobody out, asks no other host."""
    require(browser.REASON, "the docs are looked at in it", browser.IS_THERE)
    asked: list[str] = []
    said: list[str] = []
    async with browser.launched() as chromium:
        page = await chromium.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))

        await page.goto(f"{site.as_uri()}/index.html")
        await page.wait_for_url("**/docs/start.html")
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        too_wide = []
        for path in sorted({*site.rglob("*.html")} - {site / "index.html"}):
            await page.goto(path.as_uri())
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                too_wide.append(path.name)
        await page.goto(f"{site.as_uri()}/docs/authoring.html")
        await page.evaluate(browser.axe())
        found = await page.evaluate("axe.run({preload: false})")
        await page.goto(f"{site.as_uri()}/search.html?q=hibernate")
        await page.locator("#search-results li a").first.wait_for()

    assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []
    assert said == []
    assert too_wide == []
    assert [problem["id"] for problem in found["violations"]] == []
    assert max(int(part) for part in background.removeprefix("rgb(").removesuffix(")").split(", ")) < 64
