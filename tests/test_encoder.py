"""Entries against a slow computation. Weights are small whole numbers, so that sums are exact."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from featurestore import encoder as module
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.encoder import Encoder, Entries, encode_tokens
from featurestore.inference import LanguageModel

D_IN = 6
TOPKS = ("topk", "signed_topk", "abs_topk")
SIGNED = ("signed_topk", "abs_topk", "identity")
ROWS, FEATURES = 4, 8
"""Of a tile here."""
HOOK = "blocks.0.hook_resid_post"


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE_ROWS", ROWS)
    monkeypatch.setattr(module, "TILE_FEATURES", FEATURES)


def make(name: str, n_features: int, k: int | None = None, seed: int = 0) -> Dictionary:
    generator = torch.Generator().manual_seed(seed)

    def whole(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high + 1, shape, generator=generator).float()

    threshold = whole(-2, 5, n_features) if name == "jumprelu" else None
    return Dictionary(
        origin=Origin("sae", HOOK, HOOK),
        readers=whole(-3, 3, D_IN, n_features),
        reader_bias=whole(-2, 2, n_features),
        pre_bias=whole(-1, 1, D_IN),
        directions=whole(-1, 1, n_features, D_IN),
        direction_bias=torch.zeros(D_IN),
        nonlinearity=Nonlinearity(name, k if k is None else min(k, n_features), threshold),
    )


def make_hidden(n_rows: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, (n_rows, D_IN), generator=generator).float()


def plain_pre(dictionary: Dictionary, hidden: torch.Tensor) -> np.ndarray:
    """Pre-activations, one product and one sum at a time."""
    readers, bias = dictionary.readers.numpy(), dictionary.reader_bias.numpy()
    centred = hidden.numpy() - dictionary.pre_bias.numpy()
    pre = np.zeros((len(hidden), dictionary.n_features))
    for row in range(pre.shape[0]):
        for feature in range(pre.shape[1]):
            pre[row, feature] = bias[feature]
            for i in range(D_IN):
                pre[row, feature] += centred[row, i] * readers[i, feature]
    return pre


def plain_entries(pre: np.ndarray, nonlinearity: Nonlinearity) -> dict[tuple[int, int], float]:
    """(row, feature) to activation, for every one that is not zero."""
    found = {}
    size = abs if nonlinearity.name == "abs_topk" else float
    for row, values in enumerate(pre.tolist()):
        is_kept = [True] * len(values)
        if nonlinearity.k is not None:
            order = sorted(
                range(len(values)),
                key=lambda f, values=values: (
                    (0, 0, f) if np.isnan(values[f]) else (1, -size(values[f]), f)
                ),
            )
            is_kept = [f in order[: nonlinearity.k] for f in range(len(values))]
        for feature, value in enumerate(values):
            threshold = nonlinearity.threshold
            least = 0.0 if threshold is None else max(0.0, float(threshold[feature]))
            is_silent = value == 0 if nonlinearity.name in SIGNED else value <= least
            if is_kept[feature] and not is_silent:
                found[row, feature] = value
    return found


def as_dict(entries: Entries) -> dict[tuple[int, int], float]:
    keys = list(zip(entries.rows.tolist(), entries.features.tolist(), strict=True))
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, entries.values.tolist(), strict=True))


def check(dictionary: Dictionary, hidden: torch.Tensor) -> Entries:
    """Compare the entries with the slow computation and with `Dictionary.encode`."""
    found = Encoder(dictionary).active(hidden)
    wanted = plain_entries(plain_pre(dictionary, hidden), dictionary.nonlinearity)
    assert repr(sorted(as_dict(found).items())) == repr(sorted(wanted.items()))  # NaN is NaN
    for feature in set(found.features.tolist()):
        rows = found.rows[found.features == feature]
        assert (np.diff(rows) > 0).all()
    dense = dictionary.encode(hidden).numpy()
    sparse = np.zeros_like(dense)
    sparse[found.rows, found.features] = found.values
    assert np.array_equal(sparse, dense, equal_nan=True)
    return found


KINDS = [
    ("relu", None),
    ("jumprelu", None),
    ("identity", None),
    *((name, k) for name in TOPKS for k in (1, 3, FEATURES, FEATURES + 3)),
]


@pytest.mark.parametrize(("name", "k"), KINDS)
@pytest.mark.parametrize("n_features", [1, 7, 8, 9, 16, 17, 40])
def test_entries_are_those_of_a_slow_computation(name: str, k: int | None, n_features: int) -> None:
    dictionary = make(name, n_features, k, seed=n_features)
    n_entries = [len(check(dictionary, make_hidden(n_rows)).rows) for n_rows in (1, 4, 5, 12, 13)]
    assert n_features < 7 or min(n_entries) > 0


@pytest.mark.parametrize("name", TOPKS)
@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_of_equal_ones_the_lowest_features_win(name: str, k: int) -> None:
    dictionary = make(name, 20, k)
    for feature in range(1, 20):  # three readers in turn, across the borders of the tiles
        dictionary.readers[:, feature] = dictionary.readers[:, feature % 3]
        dictionary.reader_bias[feature] = dictionary.reader_bias[feature % 3]
    found = check(dictionary, make_hidden(30))
    pre = plain_pre(dictionary, make_hidden(30))
    n_checked = 0
    for row in range(30):
        if name in SIGNED or pre[row].max() > 0:
            best = int((np.abs(pre[row, :3]) if name == "abs_topk" else pre[row, :3]).argmax())
            wanted = [f for f in range(20) if pre[row, f] == pre[row, best]][:k]
            kept = found.features[found.rows == row].tolist()
            n_checked += pre[row, best] != 0
            assert pre[row, best] == 0 or kept[: len(wanted)] == wanted
    assert n_checked > 20


@pytest.mark.parametrize(("name", "k"), KINDS)
def test_what_is_not_finite_is_counted(name: str, k: int | None) -> None:
    dictionary = make(name, 20, k)
    hidden = make_hidden(11)
    hidden[2] = torch.nan
    hidden[5, 1] = torch.inf  # times a reader's 0 that is NaN
    hidden[6, 2] = -torch.inf
    with np.errstate(invalid="ignore"):
        found = check(dictionary, hidden)
    of_nan = found.values[found.rows == 2]
    assert len(of_nan) == (20 if k is None else k)
    assert np.isnan(of_nan).all()
    assert found.features[found.rows == 2].tolist() == list(range(len(of_nan)))
    assert not np.isnan(found.values[np.isin(found.rows, [2, 5, 6], invert=True)]).any()


@pytest.mark.parametrize(("name", "k"), KINDS)
def test_a_row_that_is_negative_everywhere(name: str, k: int | None) -> None:
    dictionary = make(name, 20, k)
    dictionary.readers[:] = -dictionary.readers.abs()
    dictionary.readers[:, 7] = 0
    dictionary.reader_bias[:] = -1
    dictionary.pre_bias[:] = 0
    hidden = make_hidden(9).abs() + 1
    hidden[4] *= -1
    found = check(dictionary, hidden)
    if name in SIGNED:
        assert (np.bincount(found.rows) == (k or 20)).all()
    else:
        assert set(found.rows.tolist()) == {4}


@pytest.mark.parametrize("how", ["layer_norm", "constant_norm", "centred"])
def test_vectors_are_standardised_first(how: str) -> None:
    dictionary = replace(make("relu", 20), standardisation=how)
    hidden = make_hidden(13)
    dense = dictionary.encode(hidden).numpy()
    found = Encoder(dictionary).active(hidden)
    sparse = np.zeros_like(dense)
    sparse[found.rows, found.features] = found.values
    assert np.allclose(sparse, dense, atol=1e-5)
    assert not np.allclose(dense, make("relu", 20).encode(hidden).numpy(), atol=0.1)


@pytest.mark.parametrize(("name", "k"), KINDS)
def test_no_vectors_have_no_entries(name: str, k: int | None) -> None:
    found = check(make(name, 9, k), make_hidden(0))
    assert len(found.rows) == len(found.features) == len(found.values) == 0
    assert (found.features.dtype, found.values.dtype) == (np.uint32, np.float32)


@pytest.mark.parametrize(("name", "k"), KINDS)
def test_a_dead_dictionary_has_no_entries(name: str, k: int | None) -> None:
    dictionary = make(name, 9, k)
    dictionary.readers[:] = 0
    dictionary.reader_bias[:] = 0
    assert len(check(dictionary, make_hidden(6)).rows) == 0


@pytest.mark.parametrize(("name", "k"), KINDS)
def test_bfloat16_is_a_plain_product_in_bfloat16(name: str, k: int | None) -> None:
    generator = torch.Generator().manual_seed(2)
    dictionary = make(name, 21, k)
    for weight in (dictionary.readers, dictionary.reader_bias):
        weight.copy_(torch.randn(weight.shape, generator=generator))
    hidden = torch.randn(13, D_IN, generator=generator)
    to = torch.bfloat16
    pre = torch.addmm(dictionary.fused_bias.to(to), hidden.to(to), dictionary.readers.to(to))
    threshold = dictionary.nonlinearity.threshold
    rounded = Nonlinearity(name, dictionary.nonlinearity.k, threshold)
    found = Encoder(dictionary, to).active(hidden)
    assert found.values.dtype == np.float32
    assert as_dict(found) == plain_entries(pre.float().numpy(), rounded)
    exact = Encoder(dictionary).active(hidden)
    assert as_dict(found) != as_dict(exact)  # it was no float32 after all
    assert len(found.rows) == pytest.approx(len(exact.rows), abs=5)


def test_what_an_encoder_found_stays_when_it_goes_on() -> None:
    """Tiles share one buffer."""
    encoder = Encoder(make("relu", 17))
    first = encoder.active(make_hidden(9))
    before = as_dict(first)
    encoder.active(make_hidden(9, seed=5))
    assert as_dict(first) == before


def test_entries_are_chosen_and_joined() -> None:
    parts = [Encoder(make("relu", 9)).active(make_hidden(n, seed=n)) for n in (3, 0, 2)]
    joined = Entries.joined(parts)
    for name in ("rows", "features", "values"):
        wanted = [x for part in parts for x in getattr(part, name).tolist()]
        assert getattr(joined, name).tolist() == wanted
        chosen = joined.select(joined.features == 3)
        is_3 = joined.features == 3
        assert getattr(chosen, name).tolist() == getattr(joined, name)[is_3].tolist()
    assert len(Entries.joined([]).rows) == 0


class FakeModel(LanguageModel):
    """Its hidden vectors are a table's rows: one table for each hook point, one row a token."""

    def __init__(self, *hook_names: str) -> None:
        self.tables = {name: make_hidden(20, seed=i) for i, name in enumerate(hook_names)}
        self.forwards: list[set[str]] = []

    def hidden(self, tokens: np.ndarray, hook_names: set[str]) -> dict[str, torch.Tensor]:
        self.forwards.append(hook_names)
        return {name: self.tables[name][torch.from_numpy(tokens)] for name in hook_names}


TOKENS = np.random.default_rng(0).integers(0, 20, (3, 5))
SOME = np.array([[False, True, True, True, True], [False, True, False, True, False], [False] * 5])


@pytest.mark.parametrize("is_valid", [SOME, np.ones((3, 5), bool), np.zeros((3, 5), bool)])
def test_rows_count_the_valid_tokens(is_valid: np.ndarray) -> None:
    model, dictionary = FakeModel(HOOK), make("relu", 17)
    (found,) = encode_tokens(model, TOKENS, is_valid, [(HOOK, Encoder(dictionary))])
    vectors = [
        model.tables[HOOK][TOKENS[row, pos]]
        for row in range(3)
        for pos in range(5)
        if is_valid[row, pos]
    ]
    hidden = torch.stack(vectors) if vectors else torch.empty(0, D_IN)
    wanted = plain_entries(plain_pre(dictionary, hidden), dictionary.nonlinearity)
    assert as_dict(found) == wanted
    assert bool(wanted) == is_valid.any()


def test_several_encoders_share_one_forward() -> None:
    names = (HOOK, "hook_embed", HOOK, HOOK)
    dictionaries = [make("relu", 17), make("topk", 9, 3), make("jumprelu", 9), make("topk", 17, 1)]
    encoders = [(n, Encoder(d)) for n, d in zip(names, dictionaries, strict=True)]
    model = FakeModel(*dict.fromkeys(names))
    together = encode_tokens(model, TOKENS, SOME, encoders)
    assert model.forwards == [{HOOK, "hook_embed"}]
    assert len(together) == len(encoders)
    for encoder, dictionary, found in zip(encoders, dictionaries, together, strict=True):
        (alone,) = encode_tokens(model, TOKENS, SOME, [encoder])
        hidden = model.tables[encoder[0]][TOKENS[SOME]]
        wanted = plain_entries(plain_pre(dictionary, hidden), dictionary.nonlinearity)
        assert as_dict(found) == as_dict(alone) == wanted
        assert (found.rows < SOME.sum()).all()
    assert encode_tokens(model, TOKENS, SOME, []) == []
