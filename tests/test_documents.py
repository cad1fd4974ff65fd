import gzip
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.config import CorpusConfig
from featurestore.documents import Document, find_files, read_dataset, read_documents, read_files
from featurestore.errors import CorpusError

TEXTS = ["one", "two\nlines", "", "caf\u00e9 \U0001f600"]
IDS = [[1, 2, 3], [], [4], [2**40]]


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_documents_are_ordered_by_the_hash_of_their_names(tmp_path: Path) -> None:
    names = [f"folder_{i % 3}__text_{i}" for i in range(20)]
    write(tmp_path, **{name: f"this is {name}" for name in names})
    found = list(read_files([str(tmp_path / "**")]))
    wanted = [name.replace("__", "/") for name in names]
    assert [d.name for d in found] == sorted(
        wanted, key=lambda name: hashlib.sha256(name.encode()).hexdigest()
    )
    assert all(d.text == f"this is {d.name.replace('/', '__')}" for d in found)


def test_a_file_is_read_once_and_named_alike_however_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a__one="1", b__two="2")
    monkeypatch.chdir(tmp_path / "a")
    patterns = ["one", str(tmp_path / "*" / "*"), "../b/two"]
    assert list(read_files(patterns)) == list(read_files([str(tmp_path / "**")]))


@pytest.mark.parametrize("pattern", ["*.txt", "no-such-folder/**"])
def test_no_match_is_an_error(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, folder__text="x")
    with pytest.raises(CorpusError, match="No file matches") as error:
        list(read_files([str(tmp_path / pattern)]))
    assert pattern in str(error.value)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("caf\u00e9".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.txt' is not UTF-8"):
        list(read_files([str(tmp_path / "*")]))


def write_lines(path: Path, rows: list[dict]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wb") as file:
        file.write(text.encode())


def write_parquet(path: Path, rows: list[dict]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


TABLES: dict[str, Callable[[Path, list[dict]], None]] = {
    "rows.jsonl": write_lines,
    "rows.ndjson": write_lines,
    "rows.jsonl.gz": write_lines,
    "rows.NDJSON.gz": write_lines,
    "rows.parquet": write_parquet,
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("values", [TEXTS, IDS])
def test_each_row_of_a_table_is_a_document(tmp_path: Path, name: str, values: list) -> None:
    TABLES[name](tmp_path / name, [{"number": i, "body": v} for i, v in enumerate(values)])
    texts = [tuple(value) if isinstance(value, list) else value for value in values]
    wanted = [Document(f"{name}#{i}", text) for i, text in enumerate(texts)]
    assert list(read_files([str(tmp_path / "*")], "body")) == wanted


def test_tables_and_texts_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('{"text": 1}')
    write_lines(tmp_path / "b.jsonl", [{"text": "x"}, {"text": "y"}])
    names = [document.name for document in read_files([str(tmp_path / "*")])]
    in_order = sorted(("a.txt", "b.jsonl"), key=lambda n: hashlib.sha256(n.encode()).digest())
    of_file = {"a.txt": ["a.txt"], "b.jsonl": ["b.jsonl#0", "b.jsonl#1"]}
    assert names == [name for file in in_order for name in of_file[file]]


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_files_come_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr("featurestore.documents.IN_TURN", at_once)
    sizes = {"a": 3, "b": 1, "c": 4, "d": 2, "e": 0}
    for name, n in sizes.items():
        write_lines(tmp_path / f"{name}.jsonl", [{"text": f"{name}{i}"} for i in range(n)])
    order = [name.removesuffix(".jsonl") for name in find_files([str(tmp_path / "*")])]
    texts = [str(document.text) for document in read_files([str(tmp_path / "*")])]
    assert sorted(texts) == sorted(f"{name}{i}" for name, n in sizes.items() for i in range(n))
    for name, n in sizes.items():  # the rows of one as they stand in it
        assert [text for text in texts if text[0] == name] == [f"{name}{i}" for i in range(n)]
    if at_once == 1:
        assert texts == [f"{name}{i}" for name in order for i in range(sizes[name])]
    if at_once == 64:
        assert texts == [f"{name}{i}" for i in range(4) for name in order if i < sizes[name]]
    if at_once == 2:
        firsts = [name for name in order if sizes[name]]
        assert [text[0] for text in texts if text[1] == "0"] == firsts


def test_a_file_is_opened_when_its_turn_comes(tmp_path: Path) -> None:
    for i in range(9):
        write_lines(tmp_path / f"{i}.jsonl", [{"text": f"{i}"}])
    documents = read_files([str(tmp_path / "*")])
    first = next(documents)
    for path in tmp_path.iterdir():
        if path.name != first.name.partition("#")[0]:
            path.write_bytes(b"spoilt")
    with pytest.raises(CorpusError):
        next(documents)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_rows_without_a_value_are_left_out_and_counted(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"text": text} for text in (None, "a", None, "b")]
    TABLES[name](tmp_path / name, rows)
    with caplog.at_level(logging.WARNING):
        found = [document.name for document in read_files([str(tmp_path / "*")])]
    assert found == [f"{name}#1", f"{name}#3"]
    assert caplog.messages == [f"'{tmp_path / name}': 2 rows without a value were left out"]


def test_empty_lines_are_no_rows_and_half_characters_are_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n\n  \r\n{"text": "\\ud800b"}\r\n\n')
    found = list(read_files([str(tmp_path / "*")]))
    assert found == [Document("a.jsonl#0", "a"), Document("a.jsonl#3", "\ufffdb")]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"text": "b"\n', r"a.jsonl', line 2, is no JSON object"),
        ("a.jsonl", b'{"text": "a"}\n\n[1]\n', r"line 3, is no JSON object.*found a list"),
        ("a.jsonl", b'{"text": "caf\xe9"}\n', r"line 1, .*in UTF-8: .*begins b'{.text.: .caf.xe9"),
        ("a.jsonl", b"[" * 100_000, r"line 1, is no JSON object.*begins b'\[\[\["),
        ("a.jsonl", b'{"body": "a", "id": 3}\n', r"line 1 has no column 'text'; it has: body, id"),
        ("a.jsonl", b'{"text": 5}\n', r"row 0: found 5; expected text, or a list of token ids"),
        ("a.jsonl", b'{"text": [1, 2.0]}\n', r"row 0: found \[1, 2.0\]; expected text, or"),
        ("a.jsonl", b'{"text": [true]}\n', r"row 0: found \[True\]; expected text, or"),
        ("a.jsonl", b'{"text": "a"}\n{"text": [1]}\n', r"row 1: found \[1\]; expected text, as in"),
        ("a.jsonl", b'{"text": [1]}\n{"text": "a"}\n', r"row 1: found 'a'; expected a list of tok"),
        ("a.jsonl.gz", b'{"text": "a"}\n', r"a.jsonl.gz' cannot be read after line 0: Not a gzip"),
        ("a.jsonl.gz", gzip.compress(b'{"text": "a"}\n', mtime=0)[:-9], r"cannot be read after"),
        ("a.parquet", b"", r"Parquet file '.*a.parquet' cannot be read after row 0"),
        (
            "a.parquet",
            b"PAR1 and no more",
            r"Parquet file '.*a.parquet' cannot be read after row 0",
        ),
    ],
)
def test_a_bad_file_is_told_with_its_line(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=expected):
        list(read_files([str(tmp_path / "*")]))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1.5]), r"row 0: found 1.5; expected text, or a list of token ids"),
        (pa.array([b"a"]), r"row 0: found b'a'; expected text"),
        (pa.array([[[1]]]), r"row 0: found \[\[1\]\]; expected text"),
        (pa.array([[1, None]]), r"row 0: found \[1, None\]; expected text"),
    ],
)
def test_a_column_of_something_else_is_told(
    tmp_path: Path, column: pa.Array, expected: str
) -> None:
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=expected):
        list(read_files([str(tmp_path / "*")]))
    with pytest.raises(CorpusError, match=r"a.parquet' has no column 'x'; it has: text. Set"):
        list(read_files([str(tmp_path / "*")], "x"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the library's own."""
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def dataset(folder: Path | str, **settings: Any) -> CorpusConfig:  # noqa: ANN401
    return CorpusConfig(dataset=str(folder), **settings)


@pytest.mark.parametrize(("column", "values"), [("text", TEXTS), ("ids", IDS)])
@pytest.mark.parametrize("kind", ["saved", "saved with splits", "parquet", "lines"])
def test_rows_of_a_local_data_set_are_documents(
    tmp_path: Path, cache: Path, kind: str, column: str, values: list
) -> None:
    from datasets import Dataset, DatasetDict

    folder = tmp_path / "mine"
    rows = [{"text": text, "ids": ids} for text, ids in zip(TEXTS, IDS, strict=True)]
    if kind.startswith("saved"):
        made = Dataset.from_list(rows).with_format("numpy")  # which is saved with it
        (DatasetDict(test=made) if "splits" in kind else made).save_to_disk(folder)
    else:
        folder.mkdir()
        name = {"parquet": "test.parquet", "lines": "test.jsonl"}[kind]
        TABLES[f"rows{Path(name).suffix}"](folder / name, rows)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    found = list(read_documents(dataset(folder, column=column, split="test")))
    texts = [tuple(value) if isinstance(value, list) else value for value in values]
    assert found == [Document(f"mine/test#{i}", text) for i, text in enumerate(texts)]
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert {path for path in tmp_path.iterdir()} <= {folder, cache}


def test_a_data_set_is_read_no_further_than_needed(tmp_path: Path, cache: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": "a"}] * 5000)
    documents = read_dataset(dataset(tmp_path))
    assert next(documents) == Document(f"{tmp_path.name}/train#0", "a")
    documents.close()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"split": "valid"}, r"Check 'dataset', 'subset' and.*no split 'valid', but train"),
        ({"column": "body"}, r"has no column 'body'; it has: text, other"),
        ({"subset": "en"}, r"has no subset 'en'"),
    ],
)
def test_a_saved_data_set_without_what_is_asked(
    tmp_path: Path, settings: dict[str, str], expected: str
) -> None:
    from datasets import Dataset, DatasetDict

    made = Dataset.from_dict({"text": ["a"], "other": [1]})
    DatasetDict(train=made).save_to_disk(tmp_path / "mine")
    with pytest.raises(CorpusError, match=expected):
        list(read_dataset(dataset(tmp_path / "mine", **settings)))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"split": "valid"}, r"Bad split: valid"),
        ({"column": "body"}, r"has no column 'body'; it has: text"),
        ({"subset": "en"}, r"'en' not found"),
    ],
)
def test_a_folder_of_files_without_what_is_asked(
    tmp_path: Path, cache: Path, settings: dict[str, str], expected: str
) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": "a"}])
    with pytest.raises(CorpusError, match=expected):
        list(read_dataset(dataset(tmp_path, **settings)))


def test_an_empty_folder_and_a_damaged_one_are_told(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="contain any data files"):
        list(read_dataset(dataset(tmp_path / "empty")))
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{}")
    with pytest.raises(CorpusError, match="could not be read"):
        list(read_dataset(dataset(tmp_path / "saved")))


def test_a_hub_that_is_not_reached_is_told_with_the_way_out(cache: Path) -> None:
    """The tests run with HF_HUB_OFFLINE."""
    with pytest.raises(CorpusError) as caught:
        list(read_dataset(dataset("owner/name")))
    for part in ("'owner/name'", "unset HF_HUB_OFFLINE", "--repo-type dataset owner/name", "files"):
        assert part in str(caught.value)
