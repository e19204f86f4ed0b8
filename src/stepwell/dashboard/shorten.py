"""Short names for what our own scripts declare.

Nothing has to be known of scopes. Scripts are cut into their outermost statements. A name of one of those gets one
short name for all scripts that know it; a name that a statement declares inside gets one in that statement alone, which
none of the other words there is. Where a name is a shorthand for a member that is written out: `{id}` becomes `{id:e}`.
A name stays where it stands right in the body of a class, or is one of the browser's. An outermost statement declares
several names by taking something apart, and not with commas: that is refused.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, product
from string import ascii_letters, ascii_uppercase
from typing import NamedTuple

from stepwell.dashboard.squeeze import Kind, Token

_KEYWORDS = """
    as async await break case catch class const constructor continue debugger default delete do else export extends
    false finally for from function get if import in instanceof let new null of return set static super switch this
    throw true try typeof undefined var void while with yield
"""
# Names of the browser's that read like a variable's. A test knows of the others.
_BROWSERS = """
    alert blur close confirm event fetch find focus frames history length location name navigator open opener origin
    parent performance print prompt screen scroll self status stop top when
"""
_STAY = frozenset((*_KEYWORDS.split(), *_BROWSERS.split()))
_DECLARES = frozenset(("const", "let", "function", "class"))
# What may stand before the name of a method; nothing else that is called follows them.
_BEFORE_METHODS = frozenset(("async", "get", "set", "static"))
_PARTS_OF_SIGNS = frozenset((".", "..", "...", "=", "=>", "==", "==="))
_OPENING, _CLOSING = frozenset("{(["), frozenset("})]")
# What a statement begins behind.
_ENDS = frozenset(("", ";", "}", "\n"))
# Shorter ones gain nothing.
_LEAST = 2
# What names inside a statement get, as often as letters are in words: what is like the rest compresses well.
_OFTEN = "eatnisrolcdpumhgfbvwxykjqz"
# What follows the brackets of parameters, and what those in which something is taken apart.
_BEHIND_PARAMETERS, _BEHIND_PARTS = frozenset(("=>", "{")), frozenset(("=", "of"))
# What a brace begins a value behind, or parts that are taken out of one; behind all else it begins a block.
_BEFORE_VALUES = frozenset(("(", "[", ",", "=", ":", "?", "...", "&", "|", "let", "const", "return", "of"))


class Script(NamedTuple):
    """A script that is a part of the whole. `shared` are the names that it takes from other parts, or gives them."""

    tokens: Sequence[Token]
    shared: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class _Bracket:
    """A bracket that is open round words. `before` and `follows` stand before and behind it, `outside` is round it.

    `kind` is `(`, `[`, `{` for a block, `{}` for an object or its parts, `class` for the body of one, `$` in a text.
    """

    kind: str = ""
    before: str = ""
    outside: "_Bracket | None" = None
    follows: str = ""

    @property
    def declares(self) -> bool:
        """Whether what stands right in it is declared: as parameters, or as parts of something."""
        if self.kind == "(":
            return self.follows in _BEHIND_PARAMETERS
        if self.kind not in {"[", "{}"} or self.before == "=" or self.outside is None:
            return False
        return self.follows in _BEHIND_PARTS or self.outside.declares


@dataclass(slots=True)
class _Word:
    """A word among its neighbours, and the bracket that is open round it."""

    text: str
    before: str
    behind: str
    inside: _Bracket

    @property
    def is_member(self) -> bool:
        """Whether it is no name at all, but a member's, or a key."""
        is_method = self.behind == "(" and self.before in {"{", ",", *_BEFORE_METHODS}
        return (
            self.before == "."
            or (self.before in {"{", ","} and self.behind == ":")
            or (self.inside.kind == "{}" and is_method)
        )

    @property
    def is_shorthand(self) -> bool:
        """Whether it is a name and a key at once."""
        return self.inside.kind == "{}" and self.before in {"{", ","} and self.behind in {",", "}", "="}

    @property
    def is_declared(self) -> bool:
        """Whether it is declared here."""
        is_part = self.before in {"(", "[", "{", ",", ":", "..."} and self.behind in {")", "]", "}", ",", "="}
        return self.before in _DECLARES or self.behind == "=>" or (is_part and self.inside.declares)


@dataclass(slots=True)
class _Statement:
    """An outermost statement: its tokens, and the words among them, in their order."""

    tokens: Sequence[Token]
    words: Sequence[_Word]

    def names(self) -> Iterator[_Word]:
        """Return the words that stand for something."""
        return (word for word in self.words if not word.is_member)

    def outermost(self) -> set[str]:
        """Return the names that it declares for others. Raises ValueError where those are several with commas."""
        if not self.words or self.words[0].text not in {*_DECLARES, "async"}:
            return set()
        more = next((word for word in self.words if word.before == "," and not word.inside.kind), None)
        if more is not None:
            raise ValueError(f"{more.text} is declared behind a comma; give it a statement of its own")
        signs = [text for kind, text in self.tokens if kind is not Kind.SPACE]
        at = next(at for at, text in enumerate(signs) if text in _DECLARES) + 1
        if signs[at] not in _OPENING:
            return {signs[at]}
        return {text for text in signs[at : signs.index("=")] if text[0].isalpha()}


@dataclass(slots=True)
class Names:
    """Scripts with short names, and which names they had: `outer` those of whole scripts, also such that stay.

    `inner` are those that statements declare inside, and have no more.
    """

    scripts: list[str] = field(default_factory=list)
    outer: set[str] = field(default_factory=set)
    inner: set[str] = field(default_factory=set)


def shorten(scripts: Iterable[Script]) -> Names:
    """Return scripts, which are parts of one, with short names.

    Raises ValueError if two declare one that stays, or one declares several names with commas.
    """
    made = Names()
    cut = [(script.shared, list(_statements(script.tokens))) for script in scripts]
    known = [
        {name: _shared_or_own(name, at, shared) for name in _sorted_outermost(shared, statements)}
        for at, (shared, statements) in enumerate(cut)
    ]
    called = _called_outside(cut, known)
    if twice := [name for name, times in Counter(called.values()).items() if times > 1]:
        raise ValueError(f"several modules declare {', '.join(sorted(twice))}, which stays; give one another name")
    for (_, statements), names in zip(cut, known, strict=True):
        outer = {name: called[key] for name, key in names.items()}
        made.outer.update(outer)
        made.scripts.append("".join(_renamed(statement, outer, made.inner) for statement in statements))
    return made


def _sorted_outermost(shared: frozenset[str], statements: Sequence[_Statement]) -> list[str]:
    """Return what a script knows, in an order that is the same in each process: the files have one hash."""
    return sorted(shared.union(*(one.outermost() for one in statements)))


def _shared_or_own(name: str, at: int, shared: frozenset[str]) -> tuple[str, int]:
    return name, (-1 if name in shared else at)


def _called_outside(
    cut: Sequence[tuple[frozenset[str], Sequence[_Statement]]], known: Sequence[Mapping[str, tuple[str, int]]]
) -> dict[tuple[str, int], str]:
    """Return what names of whole scripts are called; a script's own have its number, those of all have -1."""
    uses: Counter[tuple[str, int]] = Counter()
    stay: set[tuple[str, int]] = set()
    words: set[str] = set(_STAY)
    for (_, statements), names in zip(cut, known, strict=True):
        uses.update(dict.fromkeys(names.values(), 0))
        for word in chain.from_iterable(statement.names() for statement in statements):
            words.add(word.text)
            if (key := names.get(word.text)) is not None:
                uses[key] += 1
                if word.inside.kind == "class" or word.text in _STAY:
                    stay.add(key)
    free = (name for name in _short_names(ascii_uppercase) if name not in words)
    return {key: key[0] if key in stay else next(free) for key, _ in uses.most_common()}


def _renamed(statement: _Statement, outer: Mapping[str, str], inner: set[str]) -> str:
    """Return a statement with short names; what it declares inside is added to `inner`."""
    stay = {word.text for word in statement.names() if word.inside.kind == "class"} | _STAY
    declared = dict.fromkeys(word.text for word in statement.names() if word.is_declared and len(word.text) >= _LEAST)
    ours = [name for name in declared if name not in outer and name not in stay]
    inner.update(ours)
    taken = _STAY | {outer.get(word.text, word.text) for word in statement.names() if word.text not in ours}
    free = (name for name in _short_names(_OFTEN) if name not in taken)
    given = {**outer, **{name: next(free) for name in ours}}
    words = iter(statement.words)
    return "".join(_called(next(words), given) if _is_word(token) else token[1] for token in statement.tokens)


def _called(word: _Word, given: Mapping[str, str]) -> str:
    name = word.text if word.is_member else given.get(word.text, word.text)
    return f"{word.text}:{name}" if word.is_shorthand and name != word.text else name


def _is_word(token: Token) -> bool:
    return token[0] is Kind.WORD and not token[1][0].isdigit()


def _statements(tokens: Sequence[Token]) -> Iterator[_Statement]:
    """Cut a script into its outermost statements."""
    begin, depth, last = 0, 0, ""
    for at, (kind, text) in enumerate(tokens):
        if depth == 0 and kind is Kind.WORD and last in _ENDS and at > begin:
            yield _Statement(tokens[begin:at], _words(tokens[begin:at]))
            begin = at
        depth += _opens(kind, text) - _closes(kind, text)
        if kind is not Kind.SPACE or "\n" in text:
            last = "\n" if kind is Kind.SPACE else text
    if begin < len(tokens):
        yield _Statement(tokens[begin:], _words(tokens[begin:]))


def _opens(kind: Kind, text: str) -> bool:
    return text in _OPENING if kind is Kind.SIGN else kind is Kind.TEMPLATE and text.endswith("${")


def _closes(kind: Kind, text: str) -> bool:
    return text in _CLOSING if kind is Kind.SIGN else kind is Kind.TEMPLATE and text.startswith("}")


def _words(script: Sequence[Token]) -> list[_Word]:
    signs = [(kind, text) for kind, text in _joined(script) if kind is not Kind.SPACE]
    texts = ["", *(text for _, text in signs), ""]
    words: list[_Word] = []
    inside = _Bracket()
    for at, (kind, text) in enumerate(signs, 1):
        if kind is Kind.WORD and not text[0].isdigit():
            words.append(_Word(text, texts[at - 1], texts[at + 1], inside))
        if _closes(kind, text) and inside.outside is not None:
            inside.follows = texts[at + 1]
            inside = inside.outside
        if _opens(kind, text):
            inside = _Bracket(_bracket(kind, texts[max(at - 2, 0) : at + 1]), texts[at - 1], inside)
    return words


def _bracket(kind: Kind, texts: Sequence[str]) -> str:
    """Return how a bracket is called; it is the last of these tokens."""
    if kind is Kind.TEMPLATE:
        return "$"
    if texts[-1] != "{":
        return texts[-1]
    if texts[-2] == "class" or texts[-3:-2] in (["class"], ["extends"]):
        return "class"
    return "{}" if texts[-2] in _BEFORE_VALUES or texts[-2].endswith("${") else "{"


def _joined(script: Sequence[Token]) -> Iterator[Token]:
    """Yield tokens, with those that are one sign together as one: a spread is no member, and an arrow no assignment."""
    pending = ""
    for kind, text in script:
        if kind is Kind.SIGN and pending + text in _PARTS_OF_SIGNS:
            pending += text
            continue
        if pending:
            yield Kind.SIGN, pending
        pending = text if text in _PARTS_OF_SIGNS else ""
        if not pending:
            yield kind, text
    if pending:
        yield Kind.SIGN, pending


def _short_names(first: str) -> Iterator[str]:
    """Yield names, at first those of one letter of some."""
    return chain(first, ("".join(letters) for length in count(2) for letters in product(ascii_letters, repeat=length)))
