import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from featurestore.config import CorpusConfig
from featurestore.corpus import encode, make_corpus, read_corpus, vocabulary_corpus
from featurestore.documents import Document
from featurestore.errors import CorpusError
from featurestore.inference import LanguageModel
from tests.tiny_model import TEXT, make_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


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
    with pytest.raises(CorpusError, match="every file or row is empty"):
        make_corpus([Document("a", ""), Document("b", "")], tokenizer, 10, True)


@pytest.mark.parametrize("prepend_bos", [True, False])
@pytest.mark.parametrize("has_own_bos", [True, False])
def test_token_ids_are_cut_as_they_are(
    tokenizer: PreTrainedTokenizerFast, prepend_bos: bool, has_own_bos: bool
) -> None:
    bos = tokenizer.bos_token_id
    row = [bos] * has_own_bos + [5, bos, 7, 8, 9]
    corpus = make_corpus([Document("a#0", tuple(row))], tokenizer, 4, prepend_bos)
    text = row[1:] if prepend_bos and has_own_bos else row  # never two at the start
    body = 4 - prepend_bos
    parts = [[bos] * prepend_bos + text[i : i + body] for i in range(0, len(text), body)]
    found = [t[:n].tolist() for t, n in zip(corpus.tokens, corpus.n_valid, strict=True)]
    assert found == parts
    assert corpus.n_tokens == len(text)


def test_rows_that_were_cut_before_stay_one_context_each(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    rows = np.random.default_rng(0).integers(1, 300, (5, 8))
    rows[:, 0] = tokenizer.bos_token_id
    documents = [Document(f"a#{i}", tuple(row)) for i, row in enumerate(rows.tolist())]
    assert np.array_equal(make_corpus(documents, tokenizer, 8, True).tokens, rows)


@pytest.mark.parametrize("wrong", [-1, 302, 2**70])
def test_an_id_that_the_model_has_not_is_told_with_its_row(
    tokenizer: PreTrainedTokenizerFast, wrong: int
) -> None:
    documents = [Document("a#0", (301,)), Document("a#7", (4, wrong, 5))]
    with pytest.raises(CorpusError, match=f"'a#7' holds the token id {wrong}; .* 0 to 301"):
        make_corpus(documents, tokenizer, 10, True, d_vocab=302)
    with pytest.raises(CorpusError, match="'a#0' holds the token id 301; the model's are 0 to 299"):
        make_corpus(documents, tokenizer, 10, True)


def test_documents_after_max_tokens_are_not_asked_for(tokenizer: PreTrainedTokenizerFast) -> None:
    asked = []

    def documents() -> Iterator[Document]:
        for i in range(9):
            asked.append(i)
            yield Document(f"{i}", (5, 6, 7))

    assert make_corpus(documents(), tokenizer, 10, True, max_tokens=6).n_tokens == 6
    assert len(asked) <= 3


@pytest.mark.parametrize("prepend_bos", [True, False])
def test_every_known_token_of_the_vocabulary_is_a_context(
    tokenizer: PreTrainedTokenizerFast, prepend_bos: bool
) -> None:
    corpus = vocabulary_corpus(tokenizer, 310, prepend_bos)  # ten ids that fill up a matrix
    bos = tokenizer.bos_token_id
    assert corpus.tokens.tolist() == [[bos] * prepend_bos + [i] for i in range(300)]
    assert corpus.is_valid(slice(0, 300)).tolist() == [[False] * prepend_bos + [True]] * 300
    assert corpus.n_tokens == 300
    assert corpus.start.tolist() == list(range(300))
    assert len(vocabulary_corpus(tokenizer, 7, prepend_bos).tokens) == 7
    assert corpus.token_mask.startswith("padding")


def test_a_bos_must_exist_to_be_prepended(tokenizer: PreTrainedTokenizerFast) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(CorpusError, match="prepend_bos = false"):
        make_corpus([Document("a", TEXT)], bare, 10, True)
    with pytest.raises(CorpusError, match="prepend_bos = false"):
        vocabulary_corpus(bare, 300, True)
    assert make_corpus([Document("a", TEXT)], bare, 10, False).n_tokens > 0
    assert vocabulary_corpus(bare, 300, False).n_tokens == 300


def test_the_digest_changes_with_the_text(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = (TEXT, TEXT, TEXT + "!")
    digests = [make_corpus([Document("a", t)], tokenizer, 10, True).digest() for t in texts]
    assert digests[0] == digests[1] != digests[2]


def test_padding_is_never_valid(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus = make_corpus([Document("a", "cat")], tokenizer, 16, True)
    assert np.flatnonzero(corpus.is_valid(slice(0, 1))[0]).max() == corpus.n_valid[0] - 1
    assert corpus.token_mask == "padding and the BOS at position 0 left out"


def test_every_file_has_its_share_of_max_tokens_and_the_log_says_what_was_read(
    model: LanguageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("de", "en", "py"):
        rows = [json.dumps({"text": f"{name} {i} the cat"}) for i in range(50)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    files = (str(tmp_path / "*.jsonl"),)
    settings = CorpusConfig(files=files, context_length=8, prepend_bos=False, max_tokens=100)
    with caplog.at_level(logging.INFO, logger="featurestore.corpus"):
        corpus = read_corpus(settings, model)
    found = corpus.by_file()
    assert set(found) == {"de.jsonl", "en.jsonl", "py.jsonl"}
    assert sum(n for n, _ in found.values()) == len(corpus.documents)
    assert sum(n for _, n in found.values()) == corpus.n_tokens == 100
    counts = [n for n, _ in found.values()]
    assert max(counts) - min(counts) <= 1
    n, n_tokens = found["en.jsonl"]
    in_words = f"en.jsonl: {n:,} document{'' if n == 1 else 's'}, {n_tokens:,} tokens"
    (said,) = caplog.messages
    assert said.startswith("max_tokens = 100 reached. Read of ") and in_words in said
    caplog.clear()
    few = CorpusConfig(files=files, context_length=8, prepend_bos=False, max_tokens=2)
    with caplog.at_level(logging.INFO, logger="featurestore.corpus"):
        (first,) = read_corpus(few, model).by_file()
        whole = CorpusConfig(files=files, context_length=8, max_tokens=10**6)
        read_corpus(whole, model)
    missing = {"de.jsonl", "en.jsonl", "py.jsonl"} - {first}
    (said,) = caplog.messages  # what is read to its end needs no words
    assert set(said.partition("; nothing of ")[2].split(", ")) == missing
