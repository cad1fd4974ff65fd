"""What a regular expression needs, against RE2 itself."""

import random
import time
from collections import Counter

import duckdb
import pytest

from featurestore.literals import Required, required, required_literal


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


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"\bgreen\b", Required("green", is_lower=False)),
        (r"(?i)\bGreen\b", Required("green", is_lower=True)),
        (r"(?i)\bMississippi pier\b", Required("ippi pier", is_lower=True)),
        (r"(?i)\bTHÉÂTRE", Required("tre", is_lower=True)),
        (r"(?i)\bass", Required("", is_lower=False)),
        (r"(?i)Green", Required("", is_lower=False)),  # as soon found by RE2
        (r"(?i)100%\ \(green\)", Required("", is_lower=False)),
        ("(?i)a\\\nbc", Required("", is_lower=False)),
        ("", Required("", is_lower=False)),
    ],
)
def test_what_is_looked_for_first(pattern: str, found: Required) -> None:
    assert required(pattern) == found


def test_no_other_sign_is_a_letter_of_ascii_to_re2_alone() -> None:
    """What `required` leaves out is all that RE2 takes for a letter and `lower` does not."""
    every = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    with duckdb.connect() as connection:
        connection.execute("create table signs as select unnest(?::varchar[]) as sign", [every])
        asked = "select sign from signs where regexp_matches(sign, ?) and lower(sign) <> ?"
        for letter in "abcdefghijklmnopqrstuvwxyz":
            found = connection.execute(asked, [f"(?i){letter}", letter]).fetchall()
            assert found == [("\u017f",)] * (letter == "s"), letter


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


ASKED = "select t from (select unnest(?::varchar[]) as t) where regexp_matches(t, ?)"


def test_re2_matches_nothing_without_what_is_required() -> None:
    rng = random.Random(0)
    connection = duckdb.connect()
    n_matching, n_spared = Counter(), Counter()
    for i in range(3000):
        pattern, text = made_up(rng)
        pattern = "(?i)" * (i % 4 > 1) + (changed(rng, pattern) if i % 2 else pattern)
        texts = [text, text.upper(), *(changed(rng, text) for _ in range(20))]
        texts += ["".join(rng.choices(LETTERS, k=rng.randint(0, 25))) for _ in range(10)]
        try:
            matching = [text for (text,) in connection.execute(ASKED, [texts, pattern]).fetchall()]
        except duckdb.Error:
            continue
        found = required(pattern)
        if found.is_lower:
            matching, texts = ([text.lower() for text in each] for each in (matching, texts))
        assert all(found.text in text for text in matching), (pattern, found)
        n_matching[found.is_lower] += bool(found.text and matching)
        n_spared[found.is_lower] += any(found.text not in text for text in texts)
    connection.close()
    assert min(n_matching[False], n_spared[False]) > 250, (n_matching, n_spared)
    assert min(n_matching[True], n_spared[True]) > 100, (n_matching, n_spared)


@pytest.mark.parametrize(
    "pattern",
    ["x" * 100_000, r"\ " * 50_000, "(" * 50_000, "x*" * 50_000, "[a" * 50_000, "a{1" * 30_000],
)
def test_a_long_pattern_is_read_soon(pattern: str) -> None:
    started = time.monotonic()
    required_literal(pattern)
    assert time.monotonic() - started < 2
