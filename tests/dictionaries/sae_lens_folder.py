"""Folders as SAELens writes them, and its formulas, written out a token at a time."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from tests.dictionaries.opened import opened

HOOK = "blocks.3.hook_resid_pre"
D, K = 4, 3
MORE = {
    "gated": ("b_gate", "b_mag", "r_mag"),
    "jumprelu": ("b_enc", "threshold"),
    "jumprelu_transcoder": ("b_enc", "threshold"),
    "jumprelu_skip_transcoder": ("b_enc", "threshold"),
}
Numbers = dict[str, np.ndarray]


def make_weights(
    architecture: str = "standard", n: int = 9, d_out: int = D
) -> dict[str, torch.Tensor]:
    """Random tensors of an architecture."""
    shapes = {"W_enc": (D, n), "W_dec": (n, d_out), "b_dec": (d_out,)}
    shapes |= {name: (n,) for name in MORE.get(architecture, ("b_enc",))}
    if "skip" in architecture:
        shapes["W_skip"] = (d_out, D)
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}
    if "batchtopk" in architecture:
        weights["topk_threshold"] = torch.tensor(0.7, dtype=torch.float64)
    return weights


def write(
    folder: Path, weights: dict[str, torch.Tensor], architecture: str = "standard", **more: object
) -> Path:
    """A folder as version 6 writes it."""
    folder.mkdir(exist_ok=True, parents=True)
    save_file(weights, folder / "sae_weights.safetensors")
    metadata = {"hook_name": HOOK, "hook_name_out": "blocks.3.hook_mlp_out", "context_size": 128}
    metadata |= more.pop("metadata", {})
    known = {"architecture": architecture, "dtype": "float32", "normalize_activations": "none"}
    settings = known | {"apply_b_dec_to_input": True, "metadata": metadata} | more
    (folder / "cfg.json").write_text(json.dumps(settings))
    return folder


def activations(architecture: str, x: np.ndarray, w: Numbers, rescales: bool) -> np.ndarray:
    """What the library's encode gives, by its formulas; x less what is subtracted first."""
    z = x @ w["W_enc"]
    if architecture == "gated":
        return (z + w["b_gate"] > 0) * np.maximum(z * np.exp(w["r_mag"]) + w["b_mag"], 0)
    pre = z + w["b_enc"]
    if rescales:
        pre = pre * np.linalg.norm(w["W_dec"], axis=1)
    if architecture == "abstopk":
        pre[np.argsort(-np.abs(pre))[K:]] = 0
        return pre
    f = np.maximum(pre, 0)
    if architecture == "topk":
        f[np.argsort(-f)[K:]] = 0
    elif "threshold" in w:
        f *= pre > w["threshold"]
    elif "topk_threshold" in w:
        f *= f > w["topk_threshold"]
    return f


def standardised(how: str | None, x: np.ndarray) -> tuple[np.ndarray, float, float]:
    """What the library reads, and what it multiplies and adds to what it decodes."""
    if how == "constant_norm_rescale":
        length = np.linalg.norm(x) / np.sqrt(len(x))
        return x / length, length, 0.0
    if how == "layer_norm":
        spread = np.std(x, ddof=1)
        return (x - x.mean()) / (spread + 1e-5), spread, x.mean()
    return (x - x.mean(), 1.0, x.mean()) if how == "centred" else (x, 1.0, 0.0)


def check(
    folder: Path, weights: dict[str, torch.Tensor], architecture: str, **told: float | bool | str
) -> None:
    """What is opened computes what it should; `told`: subtracts, rescales, scale, how."""
    dictionary = opened(folder, None)
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    scale, rescales = told.get("scale", 1.0), bool(told.get("rescales"))
    hidden = 2 * torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    found = dictionary.encode(hidden)
    for vector, activation in zip(hidden, found, strict=True):
        x, length, shift = standardised(told.get("how"), vector.double().numpy())
        x = x * scale
        centred = x - w["b_dec"] if told.get("subtracts", True) else x
        f = activations(architecture, centred, w, rescales)
        f = f / scale if rescales else f  # directions are one long where vectors are not scaled
        assert np.allclose(activation, f, atol=2e-5)
        contributions = f * scale / np.linalg.norm(w["W_dec"], axis=1) if rescales else f
        decoded = dictionary.decode(
            activation[None], torch.zeros(1, dtype=torch.int64), vector[None]
        )[0]
        wanted = (contributions @ w["W_dec"] + w["b_dec"]) / scale * length + shift
        if "W_skip" in w:
            wanted += w["W_skip"] @ vector.double().numpy()
        assert np.allclose(decoded, wanted, atol=2e-5)
    assert 0 < np.count_nonzero(found) < found.numel()
