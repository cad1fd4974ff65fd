"""Baselines as dictionaries in our own format, fitted once.

    store/fitted/<digest>/dictionary.json, dictionary.safetensors

The folder's name says all that decides the weights, so another build, worker or shard finds it
there. It belongs to the store: Live opens it like any dictionary, and a run that is published
still needs it there.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from threadpoolctl import threadpool_limits

from featurestore.baselines import kinds
from featurestore.baselines.kinds import Axes
from featurestore.baselines.sample import Sample, read_samples
from featurestore.baselines.spec import Baseline
from featurestore.corpus import Corpus
from featurestore.dictionaries import native
from featurestore.dictionaries.base import Dictionary
from featurestore.encoder import TILE_ROWS, Encoder
from featurestore.errors import BuildFailed
from featurestore.inference import LanguageModel
from featurestore.stop import Stop
from featurestore.threads import one_thread


@dataclass(frozen=True)
class Source:
    """What baselines are fitted on."""

    model: LanguageModel
    corpus: Corpus
    digests: dict[str, str]
    """Of the model and of the corpus."""
    dtype: str
    """Precision of the model."""
    seed: int

    @property
    def facts(self) -> dict[str, str | int]:
        """What a note says of it."""
        digests = {name: self.digests[name] for name in ("model", "corpus")}
        return {**digests, "dtype": self.dtype, "seed": self.seed}


def fit_missing(
    store: Path, baselines: list[Baseline], source: Source, stop: Stop
) -> dict[str, Path]:
    """The folder of each baseline by its id, fitted now if it is not there yet.

    Raises:
        BadInput: a hook point does not suit a baseline.
        BuildFailed: the store's folder cannot be written to.
        Stopped: a signal came; what was fitted stays.
    """
    home = store / "fitted"
    folders = {each.id: home / each.digest(source.facts)[:16] for each in baselines}
    if all(folder.exists() for folder in folders.values()):
        return folders
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Shards start in the same moment: one fits, the others wait and find it done.
        with FileLock(home / "fit.lock"), one_thread(), threadpool_limits(1):
            missing = [each for each in baselines if not folders[each.id].exists()]
            hook_names = set().union(*(each.hook_names for each in missing))
            samples = read_samples(source.model, source.corpus, hook_names, stop)
            for each in missing:
                stop.check()
                axes = _axes(each, source, samples)
                _save(folders[each.id], each, axes, _notes(each, source, samples))
    except OSError as error:
        raise BuildFailed(f"'{home}' cannot be written to: {error.strerror}.") from error
    return folders


def _axes(baseline: Baseline, source: Source, samples: dict[str, Sample]) -> Axes:
    """What a baseline is, signs split if they are to be."""
    if baseline.kind in ("neurons", "identity"):
        axes = kinds.unit_axes(source.model.width(baseline.hook_name))
        return axes.split() if baseline.is_split else axes
    sample = samples[baseline.hook_name]
    moments = sample.moments
    if baseline.kind == "random":
        axes = kinds.random_axes(moments.mean, baseline.n_features, source.seed)
        return axes if baseline.like is None else _as_dense_as(baseline.like, axes, sample, samples)
    if baseline.kind == "pca":
        axes = kinds.pca(moments, baseline.n_axes(len(moments.mean), "dimensions"))
    else:
        n = baseline.n_axes(kinds.rank(moments), "directions that vary independently")
        axes = kinds.ica(sample, n, source.seed, baseline.id)
    return axes.split() if baseline.is_split else axes


def _as_dense_as(like: Dictionary, axes: Axes, sample: Sample, samples: dict[str, Sample]) -> Axes:
    """Random axes, biased so that the i-th is active as often as the i-th densest of `like`.

    Where their numbers differ, a rank is a share of all.
    """
    found = np.sort(densities(like, samples[like.origin.hook_name]))[::-1]
    n = len(axes.bias)
    wanted = found[np.arange(n) * len(found) // n]
    bias = kinds.bias_for_densities(axes, sample.vectors, wanted)
    return Axes(axes.readers, axes.directions, axes.centre, bias)


def densities(dictionary: Dictionary, sample: Sample) -> np.ndarray:
    """Share of the kept vectors on which each feature is active."""
    encoder, n_active = Encoder(dictionary), np.zeros(dictionary.n_features, dtype=np.int64)
    for vectors in torch.from_numpy(sample.vectors).split(TILE_ROWS):
        n_active += np.bincount(encoder.active(vectors).features, minlength=len(n_active))
    return n_active / len(sample.vectors)


def _save(folder: Path, baseline: Baseline, axes: Axes, notes: dict[str, Any]) -> None:
    """Write a dictionary that is there whole or not at all."""
    weights = {
        "W_enc": axes.readers.T,
        "b_enc": axes.bias,
        "b_pre": axes.centre,
        "W_dec": axes.directions,
        "b_dec": axes.centre,
    }
    settings = {
        "kind": baseline.kind,
        "nonlinearity": "relu" if baseline.is_split or baseline.kind == "random" else "identity",
        "hook_name": baseline.hook_name,
        "fitted_on": notes,
    }
    with tempfile.TemporaryDirectory(dir=folder.parent, suffix=".tmp") as unfinished:
        whole = Path(unfinished) / folder.name
        native.save(whole, settings, {k: torch.tensor(w).float() for k, w in weights.items()})
        os.rename(whole, folder)


def _notes(baseline: Baseline, source: Source, samples: dict[str, Sample]) -> dict[str, Any]:
    sample = samples.get(baseline.hook_name)
    return {
        **source.facts,
        "n_tokens": 0 if sample is None else sample.moments.n,
        "n_kept": 0 if sample is None else len(sample.vectors),
        "like": baseline.like and baseline.like.digest(),
    }
