import random

import pytest

from featurestore.errors import TextError
from featurestore.live.records import Limits, Tokens
from featurestore.live.runner import Runner
from featurestore.live.tokens import read_text

PIECES = ["a", " ", "\n", "\r", "\0", "\ud800", "\udfff", "\u202e", "\u0301", "\U0001f600", "<bos>"]


def read(runner: Runner, text: str, limits: Limits | None = None, special: bool = False) -> Tokens:
    info = runner._store.dictionary("sae")
    return read_text(text, runner._weights.get(info), limits or Limits(), special)


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "   \t ",
        "\0",
        "\u05d0\u05d1\u202e",
        "e\u0301\u0301",
        "\U0001f469\u200d\U0001f680",
        "\r\n\r",
        "a\nb",
    ],
)
def test_a_text_is_read_whole(runner: Runner, text: str) -> None:
    tokens = read(runner, text)
    tokenizer = runner._weights.get(runner._store.dictionary("sae")).model.language_model.tokenizer
    assert tokenizer.decode(list(tokens.ids)) == text
    assert len(tokens.texts) == len(tokens.ids)
    assert tokens.has_bos
    assert tokens.notes == ()


def test_lone_surrogates_are_replaced_and_told(runner: Runner) -> None:
    tokens = read(runner, "a\ud800b\udc00")
    assert tokens.ids == read(runner, "a\ufffdb\ufffd").ids
    assert tokens.notes == ("2 halves of surrogate pairs, which are no text, are read as U+FFFD.",)


def test_special_tokens_are_text_unless_chosen(runner: Runner) -> None:
    assert len(read(runner, "<bos>").ids) > 1
    assert read(runner, "<bos>", special=True).ids == (0,)


def test_an_empty_text_is_told(runner: Runner) -> None:
    with pytest.raises(TextError, match="holds no token"):
        read(runner, "")


def test_limits_say_the_count_and_the_limit(runner: Runner) -> None:
    with pytest.raises(TextError, match="has 65,538 bytes; 65,536 are taken. Nothing was cut"):
        read(runner, "\u00e9" * 32_769)
    with pytest.raises(TextError, match=r"has 30 tokens; 10 are taken"):
        read(runner, "\x01" * 30, Limits(n_tokens=10))
    with pytest.raises(TextError, match="has 10,000 tokens; model 'tiny' reads 31 after its BOS"):
        read(runner, "\x01" * 10_000)
    with pytest.raises(TextError, match="tokens; model"):
        read(runner, "\u0301" * 10_000)
    with pytest.raises(TextError, match="has 100,000 bytes"):
        read(runner, "x" * 100_000)


def test_a_token_that_the_model_lacks_is_told(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer may know more tokens than its model has rows for."""
    model = runner._weights.get(runner._store.dictionary("sae")).model.language_model
    last = max(read(runner, "The cat").ids)
    monkeypatch.setattr(model, "d_vocab", last)
    with pytest.raises(TextError, match=f"knows a token {last} .*model 'tiny' has {last} tokens"):
        read(runner, "The cat")


def test_any_text_is_read_or_refused(runner: Runner) -> None:
    rng = random.Random(0)
    n_read = 0
    for _ in range(200):
        text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(12)))
        try:
            tokens = read(runner, text, special=rng.random() < 0.5)
        except TextError:
            continue
        n_read += 1
        assert len(runner.activations(["sae"], tokens)) == 1
    assert n_read > 100
