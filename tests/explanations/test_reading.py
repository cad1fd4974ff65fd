import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.annotations.records import Explanation
from featurestore.errors import TableError
from featurestore.explanations.reading import (
    LONGEST_EXPLANATION,
    LONGEST_NAME,
    MOST_FAULTS,
    read_explanations,
)
from featurestore.records import DictionaryInfo
from featurestore.spreadsheet import table_csv
from featurestore.store import Store
from tests.small_store import publish


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[DictionaryInfo, ...]:
    folder: Path = tmp_path_factory.mktemp("store")
    publish(folder, "one")
    publish(folder, "6-res-jb")
    one, two = (Store(folder).dictionary(name) for name in ("one", "6-res-jb"))
    without = replace(one, dictionary_id="old", digests={})
    return one, two, without


def csv(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def jsonl(*rows: object) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


FULL = Explanation("digest of one", "one", 3, "rivers, seas", "detection", "gpt", 0.75, 40)


def test_csv_with_every_column(known: tuple[DictionaryInfo, ...]) -> None:
    data = csv(
        "dictionary,feature,label,method,explainer,score,n,comment",
        'one,3,"rivers, seas",detection,gpt,0.75,40,whatever',
        "6-res-jb,0,newlines,fuzz,,,,",
    )
    assert read_explanations(data, "a.csv", known) == (
        FULL,
        Explanation("digest of 6-res-jb", "6-res-jb", 0, "newlines", "fuzz"),
    )


def test_json_lines_with_every_column(known: tuple[DictionaryInfo, ...]) -> None:
    row = {"dictionary": "one", "feature": 3, "label": "rivers, seas", "method": "detection"}
    row |= {"explainer": "gpt", "score": 0.75, "n": 40, "comment": [1]}
    data = b"\xef\xbb\xbf\n" + jsonl(row) + b"\r\n\r\n"
    assert read_explanations(data, "a.jsonl", known) == (FULL,)


def test_a_digest_instead_of_an_id(known: tuple[DictionaryInfo, ...]) -> None:
    data = csv("digest,feature,label", "digest of 6-res-jb,1,a")
    (found,) = read_explanations(data, "a.csv", known, method="m", explainer="e")
    assert found == Explanation("digest of 6-res-jb", "6-res-jb", 1, "a", "m", "e")
    data = csv("dictionary,digest,feature,label", "elsewhere,digest of one,1,a")
    assert read_explanations(data, "a.csv", known, "m")[0].dictionary_id == "one"


def test_a_quotation_at_the_start_of_a_label_is_kept(known: tuple[DictionaryInfo, ...]) -> None:
    data = csv("digest,feature,label", "digest of 6-res-jb,1,'-' or 'i'")
    assert read_explanations(data, "a.csv", known, method="m")[0].label == "'-' or 'i'"


def test_two_ids_of_one_digest(known: tuple[DictionaryInfo, ...]) -> None:
    twins = (known[0], replace(known[0], dictionary_id="twin"))
    data = csv("dictionary,digest,feature,label", "twin,digest of one,1,a")
    assert read_explanations(data, "a.csv", twins, "m")[0].dictionary_id == "twin"


NEURONPEDIA = {
    "modelId": "gpt2-small",
    "layer": "6-res-jb",
    "index": "4",  # a text in theirs
    "description": " words about rivers\n",
    "typeName": "oai_token-act-pair",
    "explanationModelName": "gpt-4o-mini",
    "embedding": [0.5, -0.25],
    "notes": None,
}


def test_rows_of_neuronpedia(known: tuple[DictionaryInfo, ...]) -> None:
    expected = Explanation(
        "digest of 6-res-jb", "6-res-jb", 4, "words about rivers", "oai_token-act-pair",
        "gpt-4o-mini",
    )  # fmt: skip
    data = jsonl(NEURONPEDIA)
    assert read_explanations(data, "a", known, "unused", "unused") == (expected,)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file(data: bytes, known: tuple[DictionaryInfo, ...]) -> None:
    with pytest.raises(TableError, match=r"a\.csv is empty"):
        read_explanations(data, "a.csv", known)


def test_a_header_alone_is_no_explanation(known: tuple[DictionaryInfo, ...]) -> None:
    assert read_explanations(csv("dictionary,feature,label"), "a.csv", known) == ()


GOOD = {"dictionary": "one", "feature": 3, "label": "rivers", "method": "m"}
DEEP = {"feature": [[1]]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dictionary": "two"}, "dictionary: found 'two', expected one of the store, which has"),
        ({"dictionary": None}, "dictionary: found nothing, expected one of the store"),
        ({"dictionary": "old"}, "dictionary: found 'old', expected one with a digest"),
        ({"digest": "f00"}, "digest: found 'f00', expected that of a dictionary of the store"),
        ({"feature": 5}, "feature: found 5, expected 0 to 4, the features of 'one'"),
        ({"feature": -1}, "feature: found -1, expected a whole number"),
        ({"feature": "-1"}, "feature: found '-1'"),
        ({"feature": None}, "feature: found nothing, expected 0 to 4"),
        ({"feature": True}, "feature: found True"),
        ({"feature": 1.0}, "feature: found 1.0"),
        ({"feature": "١"}, "feature: found '١'"),
        ({"feature": "1; drop table events"}, "feature: found '1; drop"),
        (DEEP, "feature: found [[1]]"),
        ({"label": ""}, "label: found nothing, expected text"),
        ({"label": " \n"}, "label: found nothing, expected text"),
        ({"label": 7}, "label: found 7, expected text"),
        (
            {"label": "x" * (LONGEST_EXPLANATION + 1)},
            "expected at most 2,000 characters, not 2,001",
        ),
        ({"label": "a\ud800"}, "label: found '\\ud800', expected text of whole characters"),
        ({"label": "a\0"}, "label: found '\\x00', expected text of whole characters"),
        ({"method": ""}, "method: found nothing, expected text, in the file or by --method"),
        ({"method": "m" * (LONGEST_NAME + 1)}, "method: found 'mmm"),
        ({"explainer": "e" * (LONGEST_NAME + 1)}, "explainer: found 'eee"),
        ({"explainer": {}}, "explainer: found {}, expected text"),
        ({"score": math.nan}, "score: found nan, expected a finite number"),
        ({"score": math.inf}, "score: found inf"),
        ({"score": "nan"}, "score: found 'nan'"),
        ({"score": "1e999"}, "score: found '1e999'"),
        ({"score": 10**400}, "score: found 1000"),
        ({"score": "0,5"}, "score: found '0,5'"),
        ({"score": "1_0"}, "score: found '1_0'"),
        ({"score": True}, "score: found True"),
        ({"n": -1}, "n: found -1"),
        ({"n": 1.5}, "n: found 1.5"),
        ({"n": "many"}, "n: found 'many'"),
        ({"n": 2**31}, "n: found 2147483648, expected a whole number, 0 to 2,147,483,647"),
        ({"n": str(2**31)}, "n: found '2147483648'"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_taken(
    change: dict, expected: str, known: tuple[DictionaryInfo, ...]
) -> None:
    data = jsonl(GOOD, GOOD | {"feature": 2} | change)
    with pytest.raises(TableError) as caught:
        read_explanations(data, "a.jsonl", known)
    assert str(caught.value).startswith("a.jsonl: nothing was taken. Bad lines: 1.\n  line 2, ")
    assert expected in str(caught.value)
    str(caught.value).encode()  # can be printed
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("score", "expected"),
    [("-0.5", -0.5), ("1e-3", 0.001), (".5", 0.5), ("1.", 1.0), (1, 1.0), (-2.5, -2.5), ("", None)],
)
def test_scores(score: object, expected: float | None, known: tuple[DictionaryInfo, ...]) -> None:
    (found,) = read_explanations(jsonl(GOOD | {"score": score}), "a", known)
    assert found.score == expected


@pytest.mark.parametrize(
    "line", ["nonsense", "[" * 100_000, "{", '"text"', "[1]", "null", "9" * 5000, "{} {}"]
)
def test_lines_that_are_no_object(line: str, known: tuple[DictionaryInfo, ...]) -> None:
    data = jsonl(GOOD) + b"\n" + line.encode()
    with pytest.raises(TableError, match="line 2, the line: found .*an object of JSON"):
        read_explanations(data, "a.jsonl", known)


@pytest.mark.parametrize("rows", [[GOOD], []])
def test_an_array_is_told_with_the_way_out(
    rows: list[dict], known: tuple[DictionaryInfo, ...]
) -> None:
    data = ("\n " + json.dumps(rows, indent=1)).encode()
    with pytest.raises(TableError) as caught:
        read_explanations(data, "rows.json", known)
    assert str(caught.value) == (
        "rows.json is a JSON array; JSON lines are read: one object a line. "
        "Make them: jq -c '.[]' rows.json > lines.jsonl"
    )


def test_many_bad_lines_are_not_all_listed(known: tuple[DictionaryInfo, ...]) -> None:
    data = jsonl(GOOD, *[GOOD | {"feature": 9}] * 5000)
    with pytest.raises(TableError) as caught:
        read_explanations(data, "a.jsonl", known)
    lines = str(caught.value).splitlines()
    assert lines[0] == "a.jsonl: nothing was taken. Bad lines: 5,000."
    assert len(lines) == MOST_FAULTS + 2
    assert lines[-1] == f"  and {5000 - MOST_FAULTS:,} more"


def test_a_feature_twice(known: tuple[DictionaryInfo, ...]) -> None:
    with pytest.raises(TableError, match="line 3, feature: found 3, expected each .*line 1 has it"):
        read_explanations(jsonl(GOOD, GOOD | {"method": "n"}, GOOD), "a", known)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("feature,label", "a.csv has no column 'dictionary' or 'layer' or 'digest'"),
        ("dictionary,label", "'feature' or 'index'"),
        (
            "dictionary,feature,lable",
            "'label' or 'description'. Its columns: 'dictionary', 'feature',",
        ),
    ],
)
def test_columns_that_are_missing(
    header: str, expected: str, known: tuple[DictionaryInfo, ...]
) -> None:
    with pytest.raises(TableError) as caught:
        read_explanations(csv(header), "a.csv", known)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "label",
    ["=HYPERLINK(1)", "'quoted'", "<script>", "%s", "007", '"', "a,b", "\u202eabc", "😀"],
)
def test_hostile_labels_survive_both_formats(label: str, known: tuple[DictionaryInfo, ...]) -> None:
    header = ["dictionary", "feature", "label"]
    from_csv = read_explanations(table_csv(header, [["one", 0, label]]), "a", known, "m")
    row = {"dictionary": "one", "feature": 0, "label": label}
    from_json = read_explanations(json.dumps(row, ensure_ascii=False).encode(), "a", known, "m")
    assert from_csv == from_json
    assert from_csv[0].label == label


def test_a_label_becomes_one_line(known: tuple[DictionaryInfo, ...]) -> None:
    row = GOOD | {"label": " rivers,\nseas\u2028and lakes\r\n"}
    data = json.dumps(row, ensure_ascii=False).encode()
    assert read_explanations(data, "a", known)[0].label == "rivers, seas and lakes"


def test_no_text_at_all(known: tuple[DictionaryInfo, ...]) -> None:
    with pytest.raises(TableError, match=r"a\.bin, line 1: not UTF-8"):
        read_explanations(b"\x89PNG\r\n\x1a\n\xff", "a.bin", known)
    with pytest.raises(TableError, match="holds NUL"):
        read_explanations(b'{"a": "\0"}', "a.bin", known)
