import json
import random
import re
from pathlib import Path

import pytest

from featurestore.annotations.evidence import _marked, evidence_from
from featurestore.annotations.exchange import (
    COLUMNS,
    EVIDENCE_COLUMNS,
    events_of,
    export_csv,
    export_jsonl,
    tags_of,
    tags_text,
)
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Verdict
from featurestore.errors import AnnotationError
from featurestore.records import Example
from featurestore.spreadsheet import read_table
from featurestore.store import Store
from tests.annotations.made_up import open_log, say
from tests.small_store import publish


@pytest.fixture
def log(tmp_path: Path) -> AnnotationLog:
    publish(tmp_path)
    return open_log(tmp_path)


def test_every_column_says_what_it_should(log: AnnotationLog) -> None:
    say(log, 3, label="old")
    event = say(
        log, 3, verdict=Verdict.JUNK, label="=1+1", note="007\nb", tags=("a", "b;c", 'd "e"')
    )
    data = export_csv(log.all_current())
    assert data.startswith(b'\xef\xbb\xbf"dictionary","feature","verdict"')
    assert b'"one","3","junk","\'=1+1","\'007\nb","a; ""b;c""; ""d """"e""""""","ada"' in data
    table = read_table(data)
    assert table.header == COLUMNS
    ((line, row),) = table.records()
    assert line == 2
    assert row == {
        "dictionary": "one",
        "feature": "3",
        "verdict": "junk",
        "label": "=1+1",
        "note": "007\nb",
        "tags": 'a; "b;c"; "d ""e"""',
        "author": "ada",
        "at": event.at.replace("T", " "),
        "revision": "2",
        "digest": "digest of one",
    }
    assert not export_csv(log.all_current(), bom=False).startswith(b"\xef")


def test_the_scope_is_all_or_a_dictionary_or_features_of_it(log: AnnotationLog) -> None:
    for feature in (4, 1, 2):
        say(log, feature, label="x")
    say(log, 0, label="y")
    say(log, 0)
    say(log, 1, "two", label="z")

    def scope(*of: object) -> list[tuple[str, int]]:
        return [(event.dictionary_id, event.feature) for event in events_of(log, *of)]

    assert scope() == [("one", 1), ("one", 2), ("one", 4), ("two", 1)]
    assert scope("digest of one") == [("one", 1), ("one", 2), ("one", 4)]
    assert scope("digest of one", [4, 0, 1, 3]) == [("one", 1), ("one", 4)]
    assert scope("digest of one", []) == scope("digest of three") == []


def test_evidence_stands_beside_and_is_empty_without_the_dictionary(
    log: AnnotationLog, tmp_path: Path
) -> None:
    say(log, 0, label="cats")
    say(log, 3, label="dead")
    say(log, 0, "elsewhere", label="gone")
    data = export_csv(log.all_current(), evidence_from(Store(tmp_path)))
    table = read_table(data)
    assert table.header == (*COLUMNS, *EVIDENCE_COLUMNS)
    gone, cats, dead = (dict(list(row.items())[len(COLUMNS) :]) for _, row in table.records())
    assert cats == {
        "density": "0.05",
        "n_active": "5",
        "max_activation": "2.0",
        "promotes": '["cat", "dog"]',
        "suppresses": '["\\n"]',
        "peaks_on": '[[" cat", 2], [" Cat", 1], ["cat", 1]]',
        "context_1": "catdog« cat»",
        "context_2": "«\n»\n",
        "context_3": "",
    }
    assert (dead["n_active"], dead["max_activation"], dead["context_1"]) == ("0", "", "")
    assert set(gone.values()) == {""}


def test_a_context_is_cut_to_what_a_cell_holds(tmp_path: Path) -> None:
    context = {"context": 3, "document": "a", "start": 0, "tokens": [0] * 50 + [3] + [1] * 50}
    context["text"] = "cat" * 50 + "dog" + " cat" * 50
    example = {"feature": 0, "sampler": "top", "band": 0, "rank": 0, "context": 3, "peak": 50}
    example |= {"activation": 2.0, "scale": 2.0, "pos": [50], "q": [127]}
    publish(tmp_path, contexts=[context], examples=[example])
    event = say(open_log(tmp_path), 0, label="x")
    found = evidence_from(Store(tmp_path))(event)
    assert found is not None and found.contexts == ("cat" * 32 + "«dog»" + " cat" * 32,)


def test_cut_letters_of_a_context_are_whole() -> None:
    def marked(*tokens: str, peak: int) -> str:
        return _marked(Example(0, "a", 0, tokens, tuple(range(len(tokens))), peak, 1.0, {}))

    cut = ("B", "<0xC3>", "<0xA4>", "cker", " f", "<0xC3>", "<0xBC>", "r")
    assert marked(*cut, peak=3) == "Bä«cker» für"
    assert marked(*cut, peak=2) == "B<0xC3>«<0xA4>»cker für"
    assert marked(*cut[2:], peak=0) == "«<0xA4>»cker für"


def test_json_lines_have_the_shape_of_neuronpedia(log: AnnotationLog, tmp_path: Path) -> None:
    event = say(log, 3, verdict=Verdict.UNSURE, label="a\u2028b", note="c\nd", tags=("e", "f"))
    say(log, 1, "gone", label="g")
    data = export_jsonl(log.all_current(), Store(tmp_path).catalogue().dictionaries)
    gone, row = map(json.loads, data.decode("ascii").splitlines())
    assert row == {
        "modelId": "made-up",
        "layer": "one",
        "index": "3",
        "description": "a b",
        "authorId": "ada",
        "notes": "c\nd",
        "typeName": "human",
        "explanationModelName": None,
        "verdict": "unsure",
        "tags": ["e", "f"],
        "at": event.at,
        "revision": 1,
        "digest": "digest of one",
    }
    assert gone["modelId"] is None and gone["layer"] == "gone"


def test_tags_survive_one_cell() -> None:
    rng = random.Random(0)
    pieces = [*";\"', ab=7\t", '""', "; ", "é"]
    for _ in range(20_000):
        made = ["".join(rng.choices(pieces, k=rng.randrange(1, 6))).strip() for _ in range(3)]
        tags = tuple(filter(None, made))
        assert tags_of(tags_text(tags)) == tags


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", ()),
        (" ; ;", ()),
        ("a;b ;  c", ("a", "b", "c")),
        ("a, b", ("a, b",)),
        ('5" pipe; "x; y"', ('5" pipe', "x; y")),
        ("two\nlines; b\r\n", ("two lines", "b")),
    ],
)
def test_tags_are_read_as_people_type_them(text: str, tags: tuple[str, ...]) -> None:
    assert tags_of(text) == tags


def test_an_open_quote_in_tags_is_told() -> None:
    with pytest.raises(AnnotationError, match=r"open quote: 'a; \"b\\x1b'\. .*between quotes"):
        tags_of('a; "b\x1b')  # which a terminal would obey


def test_the_document_names_every_column() -> None:
    text = (Path(__file__).parents[2] / "docs" / "annotations.md").read_text(encoding="utf-8")
    section = text.split("### Columns of the CSV file")[1].split("\n#")[0]
    shown = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert tuple(shown) == (*COLUMNS, *EVIDENCE_COLUMNS)
