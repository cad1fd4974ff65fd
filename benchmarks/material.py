"""A random model, random dictionaries and random text, of any size, as files that a build reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from featurestore.config import (
    CorpusConfig,
    DictionaryConfig,
    ModelConfig,
    PassesConfig,
    Recipe,
)
from featurestore.dictionaries import native
from featurestore.inference import LanguageModel, load_model

D_VOCAB = 8192
CONTEXT_LENGTH = 128
TOKENS_IN_A_TEXT = 2_032
SAMPLED_TOKENS = 4_064
FEATURES_AT_ONCE = 16_384
OF_THE_CORPUS = PassesConfig(
    n_ablated_top=0, n_ablated_bands=0, n_dependences=0, n_neighbours=0, map=False
)
"""What a dashboard shows of the swept corpus: the model runs for the sweep alone, and features are
not compared with each other. `benchmarks.ablation` measures more runs."""


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    features: int
    tokens: int
    layers: int = 4
    d_model: int = 256
    l0: float = 40.0
    seed: int = 0


def make_recipe(folder: Path, size: Size, dtype: str = "float32") -> Recipe:
    """Write model, texts and one dictionary; the same size and seed give the same numbers."""
    model = folder / f"model-{size.layers}x{size.d_model}"
    texts = folder / f"texts-{size.tokens}-{size.seed}"
    dictionary = folder / f"dictionary-{size.features}-{model.name}"
    if not model.exists():
        _save_model(model, size)
    if not texts.exists():
        _save_texts(texts, size)
    if not dictionary.exists():
        _save_dictionary(dictionary, load_model(str(model)), size)
    return Recipe(
        model=ModelConfig(str(model)),
        dictionaries=(DictionaryConfig("random", str(dictionary)),),
        corpus=CorpusConfig((str(texts / "*.txt"),), context_length=CONTEXT_LENGTH),
        passes=OF_THE_CORPUS,
        dtype=dtype,
    )


def _save_model(folder: Path, size: Size) -> None:
    words = {"<bos>": 0} | {f"w{i}": i for i in range(1, D_VOCAB)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<bos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(size.seed)
    config = GPT2Config(
        vocab_size=D_VOCAB,
        n_positions=CONTEXT_LENGTH,
        n_embd=size.d_model,
        n_layer=size.layers,
        n_head=max(1, size.d_model // 64),
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>")
    fast.save_pretrained(folder)


def _random_tokens(rng: np.random.Generator, n: int) -> np.ndarray:
    """Tokens whose frequencies fall as in text: the r-th word as 1 / r."""
    share = 1 / np.arange(1, D_VOCAB)
    return rng.choice(np.arange(1, D_VOCAB), n, p=share / share.sum())


def _save_texts(folder: Path, size: Size) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(size.seed)
    tokens = _random_tokens(rng, size.tokens)
    for start in range(0, size.tokens, TOKENS_IN_A_TEXT):
        words = (f"w{token}" for token in tokens[start : start + TOKENS_IN_A_TEXT].tolist())
        (folder / f"{start:010d}.txt").write_text(" ".join(words), encoding="utf-8")


def _save_dictionary(folder: Path, model: LanguageModel, size: Size) -> None:
    """Random directions; biases that give log-normal densities with the wished sum."""
    hook_name = f"blocks.{model.n_layers // 2}.hook_resid_post"
    rng = np.random.default_rng(size.seed + 1)
    tokens = _random_tokens(rng, SAMPLED_TOKENS).reshape(-1, CONTEXT_LENGTH - 1)
    tokens = np.pad(tokens, ((0, 0), (1, 0)))
    hidden = model.hidden(tokens, {hook_name})[hook_name][:, 1:].flatten(0, 1)
    mean = hidden.mean(dim=0)
    generator = torch.Generator().manual_seed(size.seed + 2)
    directions = torch.randn(size.features, size.d_model, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    density = rng.lognormal(0, 1.2, size.features)
    density = torch.from_numpy(np.minimum(density * (size.l0 / density.sum()), 0.5))
    quantile = torch.special.ndtri(1 - density).float()  # projections are nearly normal
    bias = torch.empty(size.features)
    for start in range(0, size.features, FEATURES_AT_ONCE):
        part = slice(start, start + FEATURES_AT_ONCE)
        bias[part] = -((hidden - mean) @ directions[part].T).std(dim=0) * quantile[part]
    native.save(
        folder,
        {"kind": "random", "nonlinearity": "relu", "hook_name": hook_name},
        {
            "W_enc": directions.T.contiguous(),
            "b_enc": bias,
            "b_pre": mean,
            "W_dec": directions,
            "b_dec": mean,
        },
    )
