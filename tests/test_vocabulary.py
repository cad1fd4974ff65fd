import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from featurestore.byte_names import joined
from featurestore.vocabulary import context_texts, token_texts
from tests.tiny_model import TEXT, make_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


def sentencepiece(*pieces: str) -> PreTrainedTokenizerFast:
    """A tokenizer of the make of Llama's, with its bytes for what has no piece."""
    vocab = {piece: i for i, piece in enumerate(("<unk>", "<s>", *pieces))}
    model = models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True)
    backend = Tokenizer(model)
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback()])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>")


def test_texts_of_tokens_join_to_the_text(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = token_texts(tokenizer, len(tokenizer))
    plain = "".join(character for character in TEXT if character < "\x7f")
    ids = tokenizer.encode(plain)
    assert len(ids) < len(plain)  # some tokens are longer than a byte
    assert "".join(texts[i] for i in ids) == plain


def test_every_byte_of_every_token_is_accounted_for(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = token_texts(tokenizer, len(tokenizer))
    shown = "".join(texts[i] for i in tokenizer.encode("na\u00efve \u65e5"))
    as_bytes = b""
    while shown:
        if shown.startswith("<0x"):
            as_bytes, shown = as_bytes + bytes.fromhex(shown[3:5]), shown[6:]
        else:
            as_bytes, shown = as_bytes + shown[0].encode(), shown[1:]
    assert as_bytes.decode() == "na\u00efve \u65e5"


def test_the_names_of_bytes_are_read_back(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = token_texts(tokenizer, len(tokenizer))
    tokens = [texts[i] for i in tokenizer.encode("na\u00efve \u65e5")]
    assert any("<0x" in token for token in tokens)
    assert joined(tokens) == "na\u00efve \u65e5"


def test_single_bytes_show_as_themselves_or_as_hex(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = token_texts(tokenizer, len(tokenizer))
    single = {token: texts[i] for token, i in tokenizer.get_vocab().items() if len(token) == 1}
    assert len(single) == 256
    wanted = [chr(b) if b < 128 else f"<0x{b:02X}>" for b in range(256)]
    assert sorted(single.values()) == sorted(wanted)
    assert single["\u0120"] == " "
    assert single["\u010a"] == "\n"


def test_special_and_added_tokens_stay_as_they_are() -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["na\u00efve!", "   "])
    texts = token_texts(tokenizer, len(tokenizer))
    assert texts[tokenizer.bos_token_id] == "<bos>"
    assert texts[-2:] == ["na\u00efve!", "   "]


def test_ids_beyond_the_tokenizer_are_named(tokenizer: PreTrainedTokenizerFast) -> None:
    n = len(tokenizer)
    assert token_texts(tokenizer, n + 2)[-2:] == [f"<|id {n}|>", f"<|id {n + 1}|>"]
    assert len(token_texts(tokenizer, n - 5)) == n - 5


def test_sentencepiece_pieces() -> None:
    pieces = ("\u2581the", "\u2581\u2581", "\u00e9t\u00e9", "\u0120x", "<0x0A>", "<0xE2>")
    texts = token_texts(sentencepiece(*pieces), 2 + len(pieces))
    assert texts == ["<unk>", "<s>", " the", "  ", "\u00e9t\u00e9", "\u0120x", "\n", "<0xE2>"]


def test_contexts_are_decoded_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = [tokenizer.bos_token_id, *tokenizer.encode(TEXT)]
    assert context_texts(tokenizer, [np.array(ids, np.int32), np.array([], np.int32)]) == [
        f"<bos>{TEXT}",
        "",
    ]
    assert any("<0x" in text for text in map(token_texts(tokenizer, 400).__getitem__, ids))


def test_half_a_character_and_an_unknown_id_are_no_text(tokenizer: PreTrainedTokenizerFast) -> None:
    smile = tokenizer.encode("\U0001f600")
    assert len(smile) > 1
    cut = [*tokenizer.encode("a "), *smile[:-1]]
    (text,) = context_texts(tokenizer, [np.array(cut)])
    assert text.rstrip("\ufffd") == "a " and text != "a "
    (text,) = context_texts(tokenizer, [np.array([*tokenizer.encode("ab"), len(tokenizer) + 5])])
    assert text == "ab"


def test_contexts_of_a_tokenizer_of_the_other_make() -> None:
    of_bytes = sentencepiece("\u2581the", "<0xE2>", "<0x82>", "<0xAC>")
    assert context_texts(of_bytes, [np.arange(1, 6)]) == ["<s> the\u20ac"]
