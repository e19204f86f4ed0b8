"""A reader of the DOT language, of all that Graphviz takes but texts of HTML and ports.

Source: graphviz.org/doc/info/lang.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"(?P<blank>\s+|//[^\n]*|/\*.*?\*/)"
    r'|(?P<id>[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*|-?(?:\.\d+|\d+(?:\.\d*)?)|"(?:[^"\\]|\\.)*")'
    r"|(?P<sign>->|[{}\[\]=;,])",
    re.DOTALL,
)
_KEYWORDS = {"node", "edge", "graph"}


@dataclass
class Drawing:
    """What is drawn: nodes and clusters with what is said of them, each in the clusters round it, and arrows."""

    nodes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    clusters: dict[str, dict[str, str]] = field(default_factory=dict)
    within: dict[str, tuple[str, ...]] = field(default_factory=dict)
    arrows: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)


def read_dot(source: str) -> Drawing:
    """Return what a source draws. Raises ValueError where it is no DOT."""
    reader = _Reader([*_tokens(source), ""])
    reader.take("digraph")
    reader.id()
    drawing = Drawing()
    reader.block(drawing, ())
    reader.take("")
    return drawing


def text_of(label: str) -> str:
    """Return a label as Graphviz shows it. Raises KeyError for an escape that stands for something else than a text."""
    known = {"\\\\": "\\", '\\"': '"', "\\n": "\n", "&amp;": "&"}
    return re.sub(r"\\.|&\w*;?", lambda found: known[found[0]], label.removeprefix('"').removesuffix('"'))


def _tokens(source: str) -> Iterator[str]:
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise ValueError(f"no DOT: {source[at : at + 20]!r}")
        at = found.end()
        if found["blank"] is None:
            yield found[0]


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    def take(self, *wanted: str) -> str:
        token = self._tokens[self._at]
        if token not in wanted:
            raise ValueError(
                f"{token!r} in the place of {wanted}, behind {self._tokens[max(self._at - 5, 0) : self._at]}"
            )
        self._at += 1
        return token

    def has(self, *wanted: str) -> bool:
        return self._tokens[self._at] in wanted

    def id(self) -> str:
        token = self._tokens[self._at]
        if not token or token in {"->", *"{}[]=;,"}:
            raise ValueError(f"{token!r} is no id")
        self._at += 1
        return token

    def block(self, drawing: Drawing, within: tuple[str, ...]) -> None:
        self.take("{")
        while not self.has("}"):
            self._statement(drawing, within)
            if self.has(";"):
                self.take(";")
        self.take("}")

    def _statement(self, drawing: Drawing, within: tuple[str, ...]) -> None:
        if self.has("subgraph"):
            self.take("subgraph")
            name = self.id()
            drawing.clusters[name], drawing.within[name] = {}, within
            self.block(drawing, (*within, name))
            return
        first = self.id()
        if first in _KEYWORDS:
            self._attributes()
        elif self.has("="):
            self.take("=")
            value = self.id()
            if within:
                drawing.clusters[within[-1]][first] = value
        elif self.has("->"):
            self.take("->")
            second = self.id()
            drawing.arrows.append((first, second, self._attributes()))
        else:
            drawing.nodes[first], drawing.within[first] = self._attributes(), within

    def _attributes(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        if not self.has("["):
            return found
        self.take("[")
        while not self.has("]"):
            name = self.id()
            self.take("=")
            found[name] = self.id()
            if self.has(",", ";"):
                self.take(",", ";")
        self.take("]")
        return found
