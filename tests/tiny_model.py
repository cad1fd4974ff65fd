"""Small random language models and dictionaries, made on the spot and saved as users do."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from featurestore.dictionaries import native

D_MODEL = 16
N_LAYERS = 2
CONTEXT_LIMIT = 32
ARCHITECTURES = ("gpt2", "gpt_neox", "llama")
TEXT = (
    "The cat sat on the mat. The dog sat on the log.\n"
    "def add(a, b):\n    return a + b\n\ndef sub(a, b):\n    return a - b\n"
    "Caf\u00e9 na\u00efve \u2014 \u65e5\u672c\u8a9e \U0001f600 and so on, and so on, and so on.\n"
)


LONG_PASSES_OFF = {
    "n_ablated_top": 0,
    "n_ablated_bands": 0,
    "n_dependences": 0,
    "n_neighbours": 0,
    "n_scored": 0,
    "map": False,
}
"""For builds whose tests look at other things than these passes, which take most of the time."""


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of about 300 tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<bos>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<bos>")


def make_model(architecture: str, d_vocab: int, seed: int = 0) -> PreTrainedModel:
    """A random model of two layers; its norms and biases are random too."""
    torch.manual_seed(seed)
    ids = {"bos_token_id": 0, "eos_token_id": 0}
    sizes = {
        "hidden_size": D_MODEL,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 4 * D_MODEL,
        "max_position_embeddings": CONTEXT_LIMIT,
        "vocab_size": d_vocab,
    }
    if architecture == "gpt2":
        config = GPT2Config(
            n_embd=D_MODEL,
            n_layer=N_LAYERS,
            n_head=2,
            n_positions=CONTEXT_LIMIT,
            vocab_size=d_vocab,
            **ids,
        )
        model = GPT2LMHeadModel(config)
    elif architecture == "gpt_neox":
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**sizes, **ids))
    else:
        model = LlamaForCausalLM(LlamaConfig(**sizes, **ids))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def _parts(hf_model: PreTrainedModel) -> dict[str, list[str]]:
    """Names of submodules: embedding, blocks, and in a block MLP, attention and their outputs."""
    return {
        "gpt2": ["wte", "h", "mlp", "attn", "mlp.c_proj", "attn.c_proj"],
        "gpt_neox": [
            *("embed_in", "layers", "mlp", "attention"),
            *("mlp.dense_4h_to_h", "attention.dense"),
        ],
        "llama": [
            *("embed_tokens", "layers", "mlp", "self_attn"),
            *("mlp.down_proj", "self_attn.o_proj"),
        ],
    }[hf_model.config.model_type]


def module_of(hf_model: PreTrainedModel, hook_name: str) -> tuple[torch.nn.Module, bool]:
    """The module of the Hugging Face model that a hook point stands at, and if at its input."""
    embed, blocks, mlp, attn, mlp_out, attn_out = _parts(hf_model)
    body = hf_model.base_model
    if hook_name == "hook_embed":
        return body.get_submodule(embed), False
    _, layer, point = hook_name.split(".", 2)
    inside, is_input = {
        "hook_resid_pre": ("", True),
        "hook_resid_post": ("", False),
        "hook_mlp_out": (mlp, False),
        "hook_attn_out": (attn, False),
        "mlp.hook_post": (mlp_out, True),
        "attn.hook_z": (attn_out, True),
    }[point]
    return body.get_submodule(f"{blocks}.{layer}").get_submodule(inside), is_input


def save_model(folder: Path, architecture: str = "gpt2") -> Path:
    """Write a Hugging Face folder, tokenizer included."""
    tokenizer = make_tokenizer()
    make_model(architecture, len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_dictionary(
    folder: Path,
    hook_name: str = "blocks.0.hook_resid_post",
    n_features: int = 24,
    d_in: int = D_MODEL,
    seed: int = 0,
    **settings: object,
) -> Path:
    """Write a random ReLU dictionary in our own format; the last feature is dead."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        "W_enc": torch.randn(d_in, n_features, generator=generator),
        "b_enc": torch.full((n_features,), -1.0),
        "W_dec": torch.randn(n_features, d_in, generator=generator),
        "b_dec": torch.zeros(d_in),
    }
    weights["b_enc"][-1] = -1e6
    chosen = {"kind": "sae", "nonlinearity": "relu", "hook_name": hook_name} | settings
    native.save(folder, chosen, weights)
    return folder


def save_texts(folder: Path, n_files: int = 3) -> Path:
    """Write a few text files of different lengths."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n_files):
        (folder / f"text-{i}.txt").write_text(TEXT * (i + 2), encoding="utf-8")
    return folder


def save_recipe(folder: Path, architecture: str = "gpt2", **passes: int) -> Path:
    """Write a whole small run (model, dictionary `sae`, texts); the path of its recipe."""
    save_model(folder / "model", architecture)
    save_dictionary(folder / "sae")
    save_texts(folder / "texts")
    path = folder / "recipe.toml"
    path.write_text(
        "contexts_per_block = 4\n"
        '[model]\nname = "model"\n'
        '[corpus]\nfiles = ["texts/*.txt"]\ncontext_length = 16\n'
        '[[dictionaries]]\nid = "sae"\npath = "sae"\n' + passes_table(passes),
        encoding="utf-8",
    )
    return path


def passes_table(passes: dict[str, int]) -> str:
    """The table of a recipe that sets its passes."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in passes.items()]
    return "\n".join(["[passes]", *lines, ""]) if lines else ""
