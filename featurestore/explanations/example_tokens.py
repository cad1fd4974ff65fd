"""Which tokens does a label name? What it puts between quotes, or else its words. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass

_QUOTED = re.compile(r"""
    ("{3,}|'{3,}) | "([^"]+)" | `([^`]+)` | “([^“”]+)” | «([^«»]+)» | (?<!\w)['‘]([^'‘’]+)['’](?!\w)
    """, re.VERBOSE)  # fmt: skip
"""An apostrophe inside a word opens and closes nothing; three quotes or more name themselves."""

_WORD = re.compile(r"[^\W\d_]{3,}")
_TYPED = {r"\n": "\n", r"\t": "\t", "↵": "\n", "⇥": "\t", "␣": " "}
"""How people write what a line cannot hold, and how our pages show it."""

FUNCTION_WORDS = frozenset(
    "about after all also among and any are because been before being between but can could does "
    "each for from had has have her him his how into its may more most nor not off often only "
    "other our out over own same she should some such than that the their them then there these "
    "they this those through too under until upon very was were what when where which while who "
    "whose will with within without would you your".split()
)
"""Words that say nothing of what a label is about; between quotes they count like any other."""


@dataclass(frozen=True)
class ExampleTokens:
    """What a label says that a feature is active on."""

    tokens: tuple[str, ...]
    """Whole tokens, outer spaces and case included."""
    texts: tuple[str, ...]
    """Quoted strings that are no single token: looked for in the running text, byte by byte."""
    is_quoted: bool
    """Whether these stood between quotes; else they are the label's words."""

    @property
    def n(self) -> int:
        """Number of tokens and texts."""
        return len(self.tokens) + len(self.texts)


def example_tokens(label: str, vocabulary: Collection[str]) -> ExampleTokens:
    r"""The tokens that a label names, in its order, each once.

    If anything stands between quotes ("..." '...' `...` “...” ‘...’ «...»), it is that, and outer
    spaces and case count: `" in"` is not `"in"`. \n and ↵ in it stand for a line break, \t and ⇥
    for a tab, ␣ for a space. Three quotes in a row, as of a docstring, name themselves. A quoted
    string that is not in `vocabulary` becomes a text.

    If nothing is quoted, it is every token of `vocabulary` that is one of the label's words of
    three letters or more in any case, with or without a space before it. FUNCTION_WORDS are left
    out; so are words that are no token.
    """
    quoted = list(dict.fromkeys(_written(found) for found in _QUOTED.finditer(label)))
    if quoted:
        known = set(vocabulary)
        tokens = tuple(text for text in quoted if text in known)
        return ExampleTokens(tokens, tuple(text for text in quoted if text not in known), True)
    words = dict.fromkeys(word.casefold() for word in _WORD.findall(label))
    forms: dict[str, list[str]] = {word: [] for word in words if word not in FUNCTION_WORDS}
    for token in sorted(vocabulary):
        word = token.removeprefix(" ").casefold()
        if word in forms:
            forms[word].append(token)
    return ExampleTokens(tuple(token for form in forms.values() for token in form), (), False)


def _written(found: re.Match[str]) -> str:
    """What stands between a pair of quotes, its special characters meant."""
    text = next(group for group in found.groups() if group is not None)
    for typed, meant in _TYPED.items():
        text = text.replace(typed, meant)
    return text
