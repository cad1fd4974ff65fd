"""Searches against plain Python's `in` and `re`, on texts that try to break them."""

import random
import re
import time

import pytest

from featurestore import text_search
from featurestore.dictionary_file import DictionaryFile
from featurestore.errors import DamagedStore, StoreError
from featurestore.literals import required_literal
from featurestore.records import LONGEST_MATCH
from featurestore.text_search import TextSearch
from tests.small_store import publish
from tests.synthetic_store import HOSTILE

TEXTS = [
    *HOSTILE,
    "The cat sat on the mat. The dog sat on the log.\n",
    "def add(a, b):\n    return a + b\n",
    "100% of _it_ costs $5 (five) [sic] {x} a|b ^c \\d \\E *",
    'she said "Caf\u00e9" and "caf\u00e9" na\u00efve \u65e5\u672c\u8a9e',
    "' or '1'='1'; drop table contexts; --",
    "one two two three three three",
]
PATTERNS = [
    *(r"\bThe\b", r"(?i)\bthe\b", r"^The", r"[a-z]+\(", r"(cat|dog) sat", r"x{3,}", r"\d+%"),
    *(r"a\|b", r"o.e", r"(?s)\).*b", r"(t\w+) (?:t\w+)", r"[^\x00-\x7f]", "", r"(?P<word>na.ve)"),
    *(
        r"\\E",
        r"three|th",
        r"(a?)*x",
        "\0",
        r"\x00",
        r"[\t\r]",
        "\U0001f600",
        "[\u00e9-\u00ef]",
    ),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> DictionaryFile:
    return DictionaryFile(publish(tmp_path_factory.mktemp("texts")))


def substrings(n: int) -> list[str]:
    """Parts of the texts, some with other cases, some with a sign changed, some in quotes."""
    rng = random.Random(0)
    found = []
    for _ in range(n):
        text = rng.choice([text for text in TEXTS if text])
        start = rng.randrange(len(text))
        part = text[start : start + rng.choice((1, 2, 3, 5, 9, 1000))]
        change = rng.choice(
            (str, str.upper, str.lower, str.swapcase, lambda t: t[:-1] + "%" + t[-1:])
        )
        part = change(part)
        found.append(f'"{part}"' if rng.random() < 0.3 else part)
    return found


def test_plain_text_is_found_where_python_finds_it(file: DictionaryFile) -> None:
    n_found = set()
    for text in substrings(400):
        search = TextSearch(file, text, is_regex=False)
        if len(text) > 2 and text[0] == text[-1] == '"':
            expected = [i for i, t in enumerate(TEXTS) if text[1:-1] in t]
        else:
            pattern = re.compile(re.escape(text), re.IGNORECASE)
            expected = [i for i, t in enumerate(TEXTS) if pattern.search(t)]
        assert search.matching(TEXTS) == expected, text
        n_found.add(len(expected))
    assert {0, 1, 2, 3} < n_found


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_regular_expression_finds_what_python_finds(file: DictionaryFile, pattern: str) -> None:
    search = TextSearch(file, pattern, is_regex=True)
    found = [re.search(pattern, text, re.ASCII) for text in TEXTS]
    expected = [i for i, match in enumerate(found) if match]
    assert expected
    assert search.matching(TEXTS) == expected
    snippets = search.snippets([TEXTS[i] for i in expected])
    for i, (before, match, after) in zip(expected, snippets, strict=True):
        start, end = found[i].span()
        assert before == TEXTS[i][:start][-40:]
        assert match == TEXTS[i][start:end][:LONGEST_MATCH]
        assert after == (TEXTS[i][end:][:40] if end - start <= LONGEST_MATCH else "")


def test_what_a_pattern_requires_is_in_every_text_that_matches(file: DictionaryFile) -> None:
    n_required = 0
    searches = [TextSearch(file, pattern, is_regex=True) for pattern in PATTERNS]
    searches += [TextSearch(file, text, is_regex=False) for text in substrings(400)]
    for search in searches:
        literal = required_literal(search.pattern)
        found = search.matching(TEXTS)
        assert all(literal in TEXTS[i] for i in found), search.pattern
        n_required += bool(literal and found)
    assert n_required > 15


def test_case_counts_in_a_regular_expression_and_in_quotes(file: DictionaryFile) -> None:
    texts = ["Cat", "cat", "CAT", '"cat"', "c.t"]

    def matching(text: str, is_regex: bool = False) -> list[int]:
        return TextSearch(file, text, is_regex).matching(texts)

    assert matching("cat") == [0, 1, 2, 3]
    assert matching('"cat"') == [1, 3]
    assert matching('""cat""') == [3]
    assert matching('"') == [3]
    assert matching("cat", is_regex=True) == [1, 3]
    assert matching("(?i)^cat", is_regex=True) == [0, 1, 2]
    assert matching("C.T") == [4]
    assert matching("CAF\u00c9") == []
    assert TextSearch(file, "CAF\u00c9", is_regex=False).matching(["caf\u00e9"]) == [0]


def test_a_snippet_is_the_first_match_in_its_place(file: DictionaryFile) -> None:
    search = TextSearch(file, r"\bcat\b", is_regex=True)
    assert search.snippets(["concat cat, cat"]) == [("concat ", "cat", ", cat")]
    private = "\ue000\ue001 cat \ue000"  # the mark must be another
    assert search.snippets([private]) == [("\ue000\ue001 ", "cat", " \ue000")]
    long = TextSearch(file, "x+", is_regex=True).snippets(["a" * 90 + "x" * 130 + "b" * 90])
    assert long == [("a" * 40, "x" * LONGEST_MATCH, "")]
    assert search.snippets([]) == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[abc", "missing ]: [abc"),
        ("a)(b", "unexpected ): a)(b"),
        ("(a", "missing ): (a"),
        ("a**", "bad repetition operator: **"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("(?=a)", "invalid perl operator: (?="),
        ("a{1001}", "invalid repetition size"),
        (r"(\pL{1,900}){1,1}" * 5, "pattern too large"),
        ("\\", "trailing \\"),
        ("a\ud800", "half of a character is no text"),
    ],
)
def test_what_re2_cannot_read_is_said_with_its_reason(
    file: DictionaryFile, pattern: str, reason: str
) -> None:
    with pytest.raises(StoreError) as caught:
        TextSearch(file, pattern, is_regex=True)
    message = str(caught.value)
    assert reason in message
    assert not isinstance(caught.value, DamagedStore)
    assert pattern.encode("utf-8", "backslashreplace").decode() in message
    (example,) = re.findall(r"can read: (.*?)\. Put", message)
    assert TextSearch(file, example, is_regex=True).matching(["two Green Pears", "green"]) == [0]


def test_a_long_pattern(file: DictionaryFile) -> None:
    for text in ("x" * 1000, '"' + "x" * 1000 + '"', "x" * 100_000):
        expected = [i for i, t in enumerate(TEXTS) if text.strip('"') in t]
        assert TextSearch(file, text, is_regex=False).matching(TEXTS) == expected
    assert TextSearch(file, "x" * 1000, is_regex=True).matching(["x" * 999, "x" * 1000]) == [1]
    with pytest.raises(StoreError) as caught:
        TextSearch(file, "(" * 5000, is_regex=True)
    assert len(str(caught.value)) < 1000


def test_half_a_surrogate_pair_stands_nowhere(file: DictionaryFile) -> None:
    assert not TextSearch(file, "\ud800", is_regex=False).is_possible
    assert TextSearch(file, "\ud7ff", is_regex=False).is_possible


# Patterns that take too long


@pytest.fixture(scope="module")
def long_texts(tmp_path_factory: pytest.TempPathFactory) -> DictionaryFile:
    """Three thousand contexts of two thousand characters."""
    rng = random.Random(0)
    contexts = [
        {"context": i, "document": "a", "start": 0, "tokens": [0]}
        | {"text": "".join(rng.choices("abcdefghij ", k=2000))}
        for i in range(3000)
    ]
    return DictionaryFile(publish(tmp_path_factory.mktemp("long"), contexts=contexts))


COUNT = "select count(*) from contexts where regexp_matches(text, ?)"


@pytest.mark.parametrize(
    "pattern",
    [
        ".{0,1000}Q",
        "(a|b|.){1000}Z",
        "[a-z ]{500}b.{400}Z",
        "".join(f".{{0,1000}}{c}" for c in "abcdeZ"),
    ],
)
def test_a_runaway_pattern_is_stopped(long_texts: DictionaryFile, pattern: str) -> None:
    """Each of these would keep DuckDB for minutes, and in one batch for longer than the limit."""
    started = time.monotonic()
    texts = [row["text"] for row in long_texts.rows("select text from contexts")]
    for ask in (TextSearch.try_on_contexts, lambda search: search.matching(texts)):
        with pytest.raises(StoreError, match="takes longer than 2 s and was stopped") as caught:
            ask(TextSearch(long_texts, pattern, is_regex=True))
        assert pattern in str(caught.value) and r"\w{1,9} for .{1,900}" in str(caught.value)
    assert time.monotonic() - started < 6
    assert long_texts.rows("select 1 as one") == [{"one": 1}]


def test_a_pattern_that_is_slow_to_read_is_stopped(file: DictionaryFile) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError, match="takes longer than 2 s and was stopped"):
        TextSearch(file, ".{0,1000}" * 20 + "Z", is_regex=True)
    assert time.monotonic() - started < 60  # not the minutes that it would take


def test_an_ordinary_pattern_is_let_pass(long_texts: DictionaryFile) -> None:
    for pattern in (r"(?i)\bAb\w{1,9} c", "(ab|ba)+ j", "a.{1,20}b"):
        search = TextSearch(long_texts, pattern, is_regex=True)
        search.try_on_contexts()
        assert search.rows(COUNT, pattern)


def test_the_time_is_shared_by_all_statements_of_a_search(
    long_texts: DictionaryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_search, "PATTERN_LIMIT_S", 0.3)
    search = TextSearch(long_texts, "(a|b)+ c", is_regex=True)
    assert search.rows(COUNT, search.pattern)
    time.sleep(0.3)
    with pytest.raises(StoreError, match=r"'\(a\|b\)\+ c' takes longer than 0\.3 s"):
        search.rows(COUNT, search.pattern)
    endless = "select max(hash(a.range, b.range)) from range(10000000) a, range(10000000) b"
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"takes longer than 0\.3 s"):
        TextSearch(long_texts, "a+", is_regex=True).rows(endless)
    assert time.monotonic() - started < 1
    plain = TextSearch(long_texts, "a", is_regex=False)
    time.sleep(0.4)
    assert plain.rows("select 1 as one") == [{"one": 1}]  # it has the time of any question
