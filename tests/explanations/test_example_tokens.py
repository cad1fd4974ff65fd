import time

import pytest

from featurestore.explanations.example_tokens import ExampleTokens, example_tokens

VOCABULARY = [" river", "River", "river", " Rivers", " in", "in", "\n", "\t", " the", " sea", "x's"]


@pytest.mark.parametrize(
    ("label", "tokens", "texts"),
    [
        ('the word " in"', (" in",), ()),
        ('the word "in"', ("in",), ()),
        ("`river` and 'River'", ("river", "River"), ()),
        ("“ river”, «river» and ‘in’", (" river", "river", "in"), ()),
        ('"river", again "river"', ("river",), ()),
        ('rivers such as "Thames"', (), ("Thames",)),
        ('" river" in " New York"', (" river",), (" New York",)),
        (r'"\n" and "⇥"', ("\n", "\t"), ()),
        ('"↵"', ("\n",), ()),
        ('"␣river"', (" river",), ()),
        ('" the"', (" the",), ()),  # quoted, so it counts
        ('"x\'s"', ("x's",), ()),
        ('opening """, before """ or ."""', (), ('"""',)),
        ("after ''' and `\"\"\"`", (), ("'''", '"""')),
    ],
)
def test_what_stands_between_quotes_is_meant_as_it_stands(
    label: str, tokens: tuple[str, ...], texts: tuple[str, ...]
) -> None:
    assert example_tokens(label, VOCABULARY) == ExampleTokens(tokens, texts, True)


@pytest.mark.parametrize(
    ("label", "tokens"),
    [
        ("RIVER", (" river", "River", "river")),
        ("the sea or a river", (" sea", " river", "River", "river")),
        ("in the", ()),  # too short; a function word
        ("all that can be: the", ()),
        ("ships", ()),
        ("river river", (" river", "River", "river")),
        ("dogs' river and cats' sea", (" river", "River", "river", " sea")),
        ("it doesn't, the sea won't", (" sea",)),
        ("", ()),
        ("123 !? __", ()),
        ("'' \"\" «» river", (" river", "River", "river")),  # nothing between them
        ('5" sea', (" sea",)),  # never closed
    ],
)
def test_without_quotes_it_is_the_words(label: str, tokens: tuple[str, ...]) -> None:
    assert example_tokens(label, VOCABULARY) == ExampleTokens(tokens, (), False)


def test_an_empty_vocabulary() -> None:
    assert example_tokens("river", ()) == ExampleTokens((), (), False)
    assert example_tokens("'river'", ()) == ExampleTokens((), ("river",), True)


@pytest.mark.parametrize(
    "part", ["'", "“", "«", "`", ' "', " '", "a'", "'a ", "<b>", "\0", "\ud800", "ÄΩ", "‘", "((((("]
)
def test_hostile_labels_are_read_quickly(part: str) -> None:
    label = (part * 2000)[:2000]
    start = time.perf_counter()
    found = example_tokens(label, VOCABULARY)
    assert time.perf_counter() - start < 1
    assert all(found.tokens) and all(found.texts)
