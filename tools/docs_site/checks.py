"""What is wrong with built pages: links that lead nowhere, and what a browser would ask another host for."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

# What a browser loads by itself, by the attribute that names it.
_LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
# These links of a page's head are for whoever asks for them.
_NOT_LOADED = {"canonical", "index", "license", "next", "prev", "search", "author", "help", "alternate"}
_IN_STYLE = re.compile(r"(?:url\(\s*|@import\s+)['\"]?([^'\")\s]+)")
_ELSEWHERE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """A page as its links and loads see it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = [*_IN_STYLE.findall("".join(re.findall(r"<style.*?</style>", text, re.DOTALL)))]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        """Take what an element names."""
        given = {name: value or "" for name, value in attrs}
        self.ids.update(given[name] for name in ("id", "name") if name in given)
        self.loaded += _IN_STYLE.findall(given.get("style", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif not (tag == "link" and {*given.get("rel", "").split()} <= _NOT_LOADED):
            self.loaded += [given[name] for name in _LOADED.get(tag, ()) if name in given]


def problems(site: Path) -> Iterator[str]:
    """Yield what is wrong with a site, as `file: what`."""
    read = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in read.items():
        name = path.relative_to(site)
        yield from (f"{name}: loads {url} from elsewhere" for url in page.loaded if _ELSEWHERE.match(url))
        yield from (f"{name}: {link} leads nowhere" for link in page.links if not _is_there(link, path, read))
    for path in sorted(site.rglob("*.css")):
        found = _IN_STYLE.findall(path.read_text("utf-8"))
        yield from (f"{path.relative_to(site)}: loads {url} from elsewhere" for url in found if _ELSEWHERE.match(url))


def _is_there(link: str, path: Path, read: dict[Path, Page]) -> bool:
    url = urlsplit(link)
    if url.scheme or url.netloc:
        return True
    target = (path.parent / unquote(url.path)).resolve() if url.path else path
    if not target.is_file():
        return False
    return not url.fragment or target not in read or unquote(url.fragment) in read[target].ids
