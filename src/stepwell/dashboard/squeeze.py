"""Sources without what only people need: comments, indentation, spaces between signs, and signs that change nothing.

A source is cut into its words, strings, regular expressions, templates and signs first, so that nothing inside a text
is taken for a comment, or for a space that is not needed. A line end stays where a statement may end at it. What is not
told apart, and may not be written: a regular expression behind a closing parenthesis, a division behind a block, an
empty statement at the end of one.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto

_REGULAR = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_TOKEN = re.compile(
    r"(?P<SPACE>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<WORD>[\w$#]+)"
    r"""|(?P<TEXT>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"|(?P<SIGN>[^\s\w\"'])",
    re.DOTALL,
)
# The text of a template, up to its end or to a value in it.
_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*(?:`|\$\{)", re.DOTALL)
# What a value ends with: a slash behind it divides.
_VALUE_ENDS = re.compile(r"[\w$)\]}\"'`]\Z")
_BEFORE_VALUES = {"return", "typeof", "case", "in", "of", "void", "delete", "throw", "else", "await", "yield"}
# A statement goes on behind the one, and before the other.
_GOES_ON = frozenset("{;,([=?:&|<>*")
_WENT_ON = frozenset(")]}.,?:&|")

# Between digits, only for people.
_DIGITS = re.compile(r"(?<=\d)_(?=\d)")
# The value of an attribute that ends without a quotation mark, too.
_QUOTED = re.compile(r'(?<=[a-z]=)"([\w-]+)"(?=[ >\n])')
# htm takes any end of an element for that of the one that is open.
_END = re.compile(r"</\w+>")

_LINE_ENDS = re.compile(r"[ \t]*\n\s*")
_SHEET_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class Kind(Enum):
    """What a token is. TEMPLATE is a part of one, with the signs that lead in and out of values."""

    SPACE = auto()
    WORD = auto()
    TEXT = auto()
    SIGN = auto()
    TEMPLATE = auto()
    REGULAR = auto()


Token = tuple[Kind, str]
_KINDS: dict[str | None, Kind] = {kind.name: kind for kind in Kind}


def tokens(source: str) -> Iterator[Token]:
    """Cut a source into its tokens. Raises ValueError where it cannot be read."""
    at, last = 0, ""
    # For each template that is open, how many braces are open in its value.
    braces: list[int] = []
    while at < len(source):
        kind, text = _token_at(source, at, last)
        closes = text == "}" and braces and braces[-1] == 0
        if text == "`" or closes:
            if closes:
                braces.pop()
            text += _matched(_TEMPLATE, source, at + 1)
            kind = Kind.TEMPLATE
            if text.endswith("${"):
                braces.append(0)
        elif braces and kind is Kind.SIGN:
            braces[-1] += (text == "{") - (text == "}")
        yield kind, text
        at += len(text)
        if kind is not Kind.SPACE:
            last = text
    if braces:
        raise ValueError("a value in a template does not end")


def _token_at(source: str, at: int, last: str) -> Token:
    if source[at] == "/" and not _ends_value(last) and (regular := _REGULAR.match(source, at)):
        return Kind.REGULAR, regular[0]
    found = _TOKEN.match(source, at)
    if found is None:
        raise ValueError(f"cannot be read from here on: {source[at : at + 80]!r}")
    return _KINDS[found.lastgroup], found[0]


def _ends_value(last: str) -> bool:
    return last not in _BEFORE_VALUES and _VALUE_ENDS.search(last) is not None


def _matched(pattern: re.Pattern[str], source: str, at: int) -> str:
    found = pattern.match(source, at)
    if found is None:
        raise ValueError(f"a template does not end: {source[at - 1 : at + 80]!r}")
    return found[0]


def script(source: str) -> str:
    """Return a script without comments and needless space. Raises ValueError where it cannot be read."""
    parts: list[str] = []
    space = ""
    for kind, text in tokens(source):
        if kind is Kind.SPACE:
            space += "\n" if "\n" in text or text.startswith("//") else " "
            continue
        if kind is Kind.SIGN:
            _drop_needless(parts, text)
        if needed := _needed_space(parts[-1][-1] if parts else "", text[0], space):
            parts.append(needed)
        parts.append(_template(text) if kind is Kind.TEMPLATE else _word(text) if kind is Kind.WORD else text)
        space = ""
    return "".join(parts)


def _drop_needless(parts: list[str], sign: str) -> None:
    """Take what a sign makes needless from what stands before it."""
    match [*parts[-6:], sign]:
        case [*_, before, ",", "}" | "]" | ")"] if before not in {",", "["}:
            parts.pop()
        case [*_, ";", "}"]:
            parts.pop()
        case [*_, before, "(", name, ")", "=", ">"] if before.strip() and name.isidentifier() and before != "async":
            # One parameter needs no parentheses, but a space behind a word.
            parts[-4:] = [" " if before[-1].isalnum() else "", name, "="]


def _word(text: str) -> str:
    """Return a word or a number, shorter. That nobody changes a constant is for people; one word for all compresses."""
    return "let" if text == "const" else _DIGITS.sub("", text)


def _needed_space(before: str, behind: str, space: str) -> str:
    if not space or not before:
        return ""
    if "\n" in space and before not in _GOES_ON and behind not in _WENT_ON:
        return "\n"
    is_word = before.isalnum() or before in "_$", behind.isalnum() or behind in "_$#"
    return " " if all(is_word) or (before == behind and before in "+-/") else ""


def _template(text: str) -> str:
    """Leave out of markup line ends that it does not show, and what htm does not need. Others are spaces."""
    text = re.sub(r">\n(?=[<$`])", ">", _LINE_ENDS.sub("\n", text)).replace("\n<", "<")
    return _END.sub("<//>", _QUOTED.sub(r"\1", text))


def sheet(source: str) -> str:
    """Return a style sheet without comments and needless space."""
    plain = re.sub(r"\s+", " ", _SHEET_COMMENT.sub("", source))
    return re.sub(r";? ?([{};,]) ?", r"\1", re.sub(r"([:>]) ", r"\1", plain)).strip()
