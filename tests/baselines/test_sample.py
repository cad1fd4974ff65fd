import numpy as np
import pytest
import torch

from featurestore.baselines import sample as module
from featurestore.baselines.sample import read_samples
from featurestore.corpus import Corpus
from featurestore.errors import ModelError, Stopped
from featurestore.inference import LanguageModel
from featurestore.stop import Stop
from tests.tiny_run import tiny_corpus

HOOK_NAMES = {"blocks.0.hook_resid_post", "blocks.1.attn.hook_z", "blocks.1.mlp.hook_post"}


@pytest.fixture
def corpus(model: LanguageModel) -> Corpus:
    return tiny_corpus(model.d_vocab)


def plain_vectors(model: LanguageModel, corpus: Corpus, hook_name: str) -> np.ndarray:
    """Of valid tokens, one context at a time."""
    found = []
    for i in range(len(corpus.tokens)):
        hidden = model.hidden(corpus.tokens[i : i + 1], {hook_name})[hook_name][0]
        found.append(hidden.numpy()[corpus.is_valid(slice(i, i + 1))[0]])
    return np.concatenate(found)


@pytest.mark.parametrize(("most", "kept"), [(10**6, 10**6), (10**6, 13), (31, 17), (1, 1)])
def test_the_first_valid_tokens_are_read(
    model: LanguageModel, corpus: Corpus, monkeypatch: pytest.MonkeyPatch, most: int, kept: int
) -> None:
    monkeypatch.setattr(module, "FIT_TOKENS", most)
    monkeypatch.setattr(module, "KEPT_TOKENS", kept)
    samples = read_samples(model, corpus, HOOK_NAMES, Stop())
    assert samples.keys() == HOOK_NAMES
    for hook_name, sample in samples.items():
        wanted = plain_vectors(model, corpus, hook_name)[:most]
        assert sample.moments.n == len(wanted) == min(most, corpus.n_tokens)
        exact = wanted.astype(np.float64)
        np.testing.assert_allclose(sample.moments.mean, exact.mean(axis=0), atol=1e-5)
        covariance = np.atleast_2d(np.cov(exact.T, bias=True))
        np.testing.assert_allclose(sample.moments.covariance, covariance, atol=1e-4)
        np.testing.assert_allclose(sample.vectors, wanted[:kept], atol=1e-5)
        assert sample.vectors.dtype == np.float32


def test_how_many_contexts_run_together_changes_nothing_but_rounding(
    model: LanguageModel, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "blocks.0.hook_resid_post"
    vectors = torch.from_numpy(plain_vectors(model, corpus, name))
    found = []
    for at_once in (1, 3, 100):
        monkeypatch.setattr(LanguageModel, "contexts_at_once", lambda _, length, n=at_once: n)
        places = np.cumsum(corpus.is_valid(slice(None))).reshape(corpus.tokens.shape) - 1

        def hidden(
            _: object, tokens: np.ndarray, names: set[str], places: np.ndarray = places
        ) -> dict[str, torch.Tensor]:
            """The same vectors to the bit, however they are asked for."""
            rows = [np.flatnonzero((corpus.tokens == row).all(axis=1))[0] for row in tokens]
            return {name: vectors[torch.from_numpy(places[rows]).clamp(min=0)]}

        with monkeypatch.context() as patched:
            patched.setattr(LanguageModel, "width", lambda *_: vectors.shape[1])
            patched.setattr(LanguageModel, "hidden", hidden)
            found.append(read_samples(model, corpus, {name}, Stop())[name])
    for other in found[1:]:
        np.testing.assert_allclose(other.moments.mean, found[0].moments.mean, atol=1e-12)
        np.testing.assert_allclose(
            other.moments.covariance, found[0].moments.covariance, atol=1e-12
        )
        np.testing.assert_array_equal(other.vectors, found[0].vectors)


def test_nothing_is_run_for_nothing(
    model: LanguageModel, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LanguageModel, "hidden", None)
    assert read_samples(model, corpus, set(), Stop()) == {}


def test_a_signal_ends_it(model: LanguageModel, corpus: Corpus) -> None:
    stop = Stop()
    stop.ask(15)
    with pytest.raises(Stopped):
        read_samples(model, corpus, HOOK_NAMES, stop)


def test_vectors_that_are_no_numbers_are_refused(
    model: LanguageModel, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = torch.full((*corpus.tokens.shape, 4), torch.nan)
    monkeypatch.setattr(LanguageModel, "width", lambda *_: 4)
    monkeypatch.setattr(LanguageModel, "hidden", lambda *_: {"blocks.0.hook_resid_post": nothing})
    with pytest.raises(ModelError, match="'blocks.0.hook_resid_post' .* gives NaN or infinite"):
        read_samples(model, corpus, {"blocks.0.hook_resid_post"}, Stop())
