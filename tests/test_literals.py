"""What a regular expression needs, against RE2 itself."""

import random
import time

import duckdb
import pytest

from featurestore.literals import required_literal


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"\bgreen (apple|pear)s?\b", "green "),
        ("abc", "abc"),
        ("ab", ""),
        (r"^The\s+\w+ farmer$", " farmer"),
        (r"100%\ of \$5\.00 \\E", r"100% of $5.00 \E"),
        ("a\nb\0c", "a\nb\0c"),
        ("日本語|日本語", ""),
        ("(日本語)", "日本語"),
        # Repeated and optional parts
        ("abcd*efg?", "abc"),
        ("abcd*?efgh", "efgh"),
        ("abcd+e", "abcd"),
        ("abcd+?e", "abcd"),
        ("abc{2}de", "abc"),
        ("abc{0}de", ""),
        ("abc{0,3}defg", "defg"),
        ("(abc){1,3}", "abc"),
        ("(abc){0,3}(def)?(ghi)*", ""),
        ("a++bcd", ""),
        # Groups and choices
        ("(a(?:bcd)+)*|xyz", ""),
        ("x(a(?:bcd(efgh))+y)", "efgh"),
        ("(one|three) apples", " apples"),
        ("((one) apple|(two) apples)", ""),
        ("(?P<name>abc)", ""),
        ("(abc", ""),
        ("abc)", ""),
        # Classes
        ("[abc]def", "def"),
        ("[^]abc]def", "def"),
        (r"[\]abc]def", "def"),
        ("[[abc]def", "def"),
        ("[[:alpha:]abc[d]", ""),
        ("]abc", ""),
        ("[abc", ""),
        # What others read differently, or as nothing
        ("(?i)abc", ""),
        ("abc(?i:def)", ""),
        ("(?s)abc", ""),
        (r"\Qa.c\Exyz", ""),
        (r"\pNabc", ""),
        (r"\p{Greek}abc", ""),
        (r"abc\C", ""),
        (r"abc\z", ""),
        (r"\101bc", ""),
        (r"\x41bcd", ""),
        ("abc{,3}", ""),
        ("abc{01}def", ""),
        ("abc{", ""),
        ("*abc", ""),
        ("abc\\", ""),
        ("", ""),
    ],
)
def test_the_literal_of_a_pattern(pattern: str, literal: str) -> None:
    assert required_literal(pattern) == literal


LETTERS = "aab\n é日.*\\{1,}[]^-:"
PLAIN = {"ab": "ab", "aba": "aba", "é日a": "é日a", "b a": "b a", r"\.\*": ".*", r"\{\\": "{\\"}
OTHERS = PLAIN | {
    **{".": "b", r"\w": "a", r"\S": "é", r"\b": "", r"\B": "", "^": "", "$": "", r"\n": "\n"},
    **{"[ab]": "b", "[^a]": "b", "[]a]": "]", "[^]a]": "b", r"[\]b]": "]", "[[a]": "["},
    **{"[a-]": "-", "[[:alpha:]]": "b", "[[:alpha:]aba[b]": "[", "[[:alpha:]aba]": "a"},
    **{"aba*": "ab", "aba?": "ab", "aba??": "ab", "aba{0}": "ab", "aba{0,2}": "ab"},
    **{"ab+": "abb", "ab+?": "ab", "ab{2}": "abb", "ab{1,}": "ab", "ab{1,2}?": "ab"},
    **{"aba{01}": "aba{01}", "ab{,2}": "ab{,2}", "ab{": "ab{", "a}": "a}", "]a": "]a"},
    **{"(?i)aba": "ABA", "(?i:aba)": "aBa", "(?s:.)": "\n", "(?P<n>ab)": "ab", r"\Qa.\E": "a."},
    **{r"\pL": "é", r"\C": "b", r"\x61": "a", r"\141": "a", r"\z": "", r"\A": "", "": ""},
}
REPEATS = {"": 1, "*": 0, "?": 0, "+": 2, "{2}": 2, "{0,1}": 0, "{0}": 0, "{1,2}?": 1, "+?": 1}


def made_up(rng: random.Random, depth: int = 0) -> tuple[str, str]:
    """A pattern, and a text that it is likely to match."""
    pattern, text = "", ""
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.3 and depth < 3:
            inner, matched = made_up(rng, depth + 1)
            repeat = rng.choice(["", *REPEATS])
            pattern += rng.choice(["(", "(?:"]) + f"{inner}){repeat}"
            text += matched * REPEATS[repeat]
        else:
            part, matched = rng.choice(list((OTHERS if rng.random() < 0.3 else PLAIN).items()))
            pattern, text = pattern + part, text + matched
    if rng.random() < 0.1:
        other, _ = made_up(rng, depth + 1)
        pattern = rng.choice([f"{pattern}|{other}", f"{other}|{pattern}"])
    return pattern, text


def changed(rng: random.Random, text: str) -> str:
    """A text with a sign left out, put in or put in another's place."""
    place, length = rng.randint(0, len(text)), rng.randint(0, 1)
    return text[:place] + rng.choice(["", *LETTERS, *"|()?+"]) + text[place + length :]


def test_re2_matches_nothing_without_the_literal() -> None:
    rng = random.Random(0)
    connection = duckdb.connect()
    n_matching = n_spared = 0
    for i in range(1500):
        pattern, text = made_up(rng)
        pattern = changed(rng, pattern) if i % 2 else pattern
        texts = [text, *(changed(rng, text) for _ in range(20))]
        texts += ["".join(rng.choices(LETTERS, k=rng.randint(0, 25))) for _ in range(10)]
        asked = "select t from (select unnest(?::varchar[]) as t) where regexp_matches(t, ?)"
        try:
            matching = [text for (text,) in connection.execute(asked, [texts, pattern]).fetchall()]
        except duckdb.Error:
            continue
        literal = required_literal(pattern)
        assert all(literal in text for text in matching), (pattern, literal)
        n_matching += bool(literal and matching)
        n_spared += bool(literal) and any(literal not in text for text in texts)
    connection.close()
    assert n_matching > 250 and n_spared > 350, (n_matching, n_spared)


@pytest.mark.parametrize(
    "pattern",
    ["x" * 100_000, r"\ " * 50_000, "(" * 50_000, "x*" * 50_000, "[a" * 50_000, "a{1" * 30_000],
)
def test_a_long_pattern_is_read_soon(pattern: str) -> None:
    started = time.monotonic()
    required_literal(pattern)
    assert time.monotonic() - started < 2
