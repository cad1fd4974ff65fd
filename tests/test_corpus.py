import hashlib
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from featurestore.corpus import Document, encode, make_corpus, read_documents
from featurestore.errors import CorpusError
from tests.tiny_model import TEXT, make_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_documents_are_ordered_by_the_hash_of_their_names(tmp_path: Path) -> None:
    names = [f"folder_{i % 3}__text_{i}" for i in range(20)]
    write(tmp_path, **{name: f"this is {name}" for name in names})
    found = read_documents([str(tmp_path / "**")])
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
    assert read_documents(patterns) == read_documents([str(tmp_path / "**")])


@pytest.mark.parametrize("pattern", ["*.txt", "no-such-folder/**"])
def test_no_match_is_an_error(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, folder__text="x")
    with pytest.raises(CorpusError, match="No file matches") as error:
        read_documents([str(tmp_path / pattern)])
    assert pattern in str(error.value)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("caf\u00e9".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.txt' is not UTF-8"):
        read_documents([str(tmp_path / "*")])


@pytest.mark.parametrize("prepend_bos", [True, False])
def test_contexts_are_the_tokens_cut_in_order(
    tokenizer: PreTrainedTokenizerFast, prepend_bos: bool
) -> None:
    documents = [Document("a", TEXT), Document("empty", ""), Document("b", "on the mat")]
    corpus = make_corpus(documents, tokenizer, 10, prepend_bos)
    lead = [tokenizer.bos_token_id] if prepend_bos else []
    step = 10 - len(lead)
    row = 0
    for number, document in enumerate(documents):
        ids = tokenizer.encode(document.text)
        for start in range(0, len(ids), step):
            wanted = lead + ids[start : start + step]
            assert corpus.n_valid[row] == len(wanted)
            assert corpus.tokens[row, : len(wanted)].tolist() == wanted
            assert (corpus.document[row], corpus.start[row]) == (number, start)
            valid = [len(lead) <= pos < len(wanted) for pos in range(10)]
            assert corpus.is_valid(slice(row, row + 1)).tolist() == [valid]
            row += 1
    assert row == len(corpus.tokens)
    assert corpus.documents == ("a", "empty", "b")
    n_text = sum(len(tokenizer.encode(document.text)) for document in documents)
    assert corpus.n_tokens == corpus.is_valid(slice(0, row)).sum() == n_text


@pytest.mark.parametrize("max_tokens", [1, 9, 10, 57])
def test_max_tokens_counts_text_tokens(tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> None:
    documents = [Document(name, "The cat sat on the mat. " * 3) for name in "abc"]
    whole = make_corpus(documents, tokenizer, 10, prepend_bos=True)
    corpus = make_corpus(documents, tokenizer, 10, prepend_bos=True, max_tokens=max_tokens)
    assert corpus.n_tokens == max_tokens < whole.n_tokens
    text = whole.tokens[whole.is_valid(slice(0, len(whole.tokens)))][:max_tokens]
    assert corpus.tokens[corpus.is_valid(slice(0, len(corpus.tokens)))].tolist() == text.tolist()


def test_special_tokens_written_in_a_text_are_text(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = encode(tokenizer, "a<bos>b")
    assert tokenizer.bos_token_id not in ids
    assert tokenizer.decode(ids) == "a<bos>b"


def test_special_tokens_are_read_as_such_if_wanted(tokenizer: PreTrainedTokenizerFast) -> None:
    (a,), (b,), bos = encode(tokenizer, "a"), encode(tokenizer, "b"), tokenizer.bos_token_id
    assert encode(tokenizer, "a<bos>b", special=True) == [a, bos, b]
    assert encode(tokenizer, "<bos><bos>", special=True) == [bos, bos]
    assert encode(tokenizer, "ab", special=True) == encode(tokenizer, "ab")  # none is added
    assert encode(tokenizer, "", special=True) == []


def test_nothing_but_empty_files_is_an_error(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(CorpusError, match="every file is empty"):
        make_corpus([Document("a", ""), Document("b", "")], tokenizer, 10, True)


def test_a_bos_must_exist_to_be_prepended(tokenizer: PreTrainedTokenizerFast) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(CorpusError, match="prepend_bos = false"):
        make_corpus([Document("a", TEXT)], bare, 10, True)
    assert make_corpus([Document("a", TEXT)], bare, 10, False).n_tokens > 0


def test_the_digest_changes_with_the_text(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = (TEXT, TEXT, TEXT + "!")
    digests = [make_corpus([Document("a", t)], tokenizer, 10, True).digest() for t in texts]
    assert digests[0] == digests[1] != digests[2]


def test_padding_is_never_valid(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus = make_corpus([Document("a", "cat")], tokenizer, 16, True)
    assert np.flatnonzero(corpus.is_valid(slice(0, 1))[0]).max() == corpus.n_valid[0] - 1
    assert corpus.token_mask == "padding and the BOS at position 0 left out"
