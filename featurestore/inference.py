"""A language model, opened through TransformerLens: tokens in, hidden vectors or logits out.

The only module that imports transformer_lens. Weights are used as they are (no folding, no
centring), and code that comes with a model is never run.
"""

import contextlib
import difflib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.activations import NewGELUActivation
from transformers.utils.logging import disable_progress_bar

from featurestore.embedding_control import replace_embedding
from featurestore.errors import ModelError
from featurestore.hook_points import is_residual

TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 2**15}
"""Tokens that run through the model together. On a processor 1,024 are the fastest of 512 to 8,192
(`docs/performance.md`): more of them leave its cache."""

_NOT_THE_MODEL = ("_name_or_path", "transformers_version", "dtype")
"""Keys of a model's configuration that say where it was found and who wrote it."""


Hook = Callable[[Float[torch.Tensor, "batch pos d"]], Float[torch.Tensor, "batch pos d"] | None]
"""Called with the vectors at a hook point; what it returns, if anything, takes their place."""


@dataclass(frozen=True)
class Unembedding:
    """What stands between the last residual vector and the logits."""

    weight: Float[torch.Tensor, "d_model d_vocab"]
    gain: Float[torch.Tensor, " d_model"]
    """Scale of the final normalisation."""
    is_centred: bool
    """Whether that normalisation subtracts the mean (LayerNorm does, RMSNorm does not)."""


@dataclass
class Memory:
    """Keys and values of what a model has read, so that it can go on from there."""

    cache: Any = None


class LanguageModel:
    """A causal language model on one device, in inference mode."""

    def __init__(self, bridge: TransformerBridge, name: str, device: str = "cpu") -> None:
        self._bridge = bridge
        self._device = device
        self.name = name
        self.n_layers: int = bridge.cfg.n_layers
        self.d_model: int = bridge.cfg.d_model
        self.context_limit: int = bridge.cfg.n_ctx
        self.d_vocab: int = bridge.W_U.shape[1]
        self.has_layer_norm: bool = not bridge.cfg.uses_rms_norm

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that belongs to the model."""
        return self._bridge.tokenizer

    def width(self, hook_name: str) -> int:
        """Length of the hidden vectors at a hook point, found by running one token.

        Raises:
            ModelError: the model has no such hook point, or it is switched off.
        """
        if self._bridge.get_hook_point(hook_name) is None:
            known = sorted(self._bridge.hook_dict)
            close = difflib.get_close_matches(hook_name, known, n=4, cutoff=0.4)
            raise ModelError(
                f"Model '{self.name}' has no hook point '{hook_name}'. "
                f"Nearest: {', '.join(close) or 'none'}. Its layers are 0 to {self.n_layers - 1}; "
                "names are TransformerLens's, such as 'blocks.0.hook_resid_post'."
            )
        return self.hidden(np.zeros((1, 1), dtype=np.int64), {hook_name})[hook_name].shape[-1]

    @torch.inference_mode()
    def hidden(
        self,
        tokens: Int[np.ndarray, "batch pos"],
        hook_names: set[str],
        memory: Memory | None = None,
    ) -> dict[str, Float[torch.Tensor, "batch pos d_in"]]:
        """Hidden vectors at the hook points, from one forward that ends where the last is reached.

        A hook point with a head dimension is flattened into one vector a position. With a memory
        the tokens go on from those that filled it, up to the same hook points.

        Raises:
            ModelError: a hook point gives something else, or is switched off.
        """
        found: dict[str, torch.Tensor] = {}

        def keep(name: str, value: torch.Tensor) -> None:
            found[name] = value
            if len(found) == len(hook_names):
                raise _AllFound

        hooks = [(name, functools.partial(keep, name)) for name in hook_names]
        if memory is not None and memory.cache is None:  # one made inside would be lost
            memory.cache = DynamicCache()
        going_on = {} if memory is None else {"past_key_values": memory.cache, "use_cache": True}
        with contextlib.suppress(_AllFound), self._hooked(hooks):
            self._bridge(self._input(tokens), return_type=None, **going_on)
        for name in hook_names:
            vectors = found.get(name, torch.empty(0))
            if vectors.ndim < 3 or vectors.shape[:2] != tokens.shape:
                raise ModelError(
                    f"Hook point '{name}' exists in model '{self.name}' but gives no vector for "
                    "each token. Choose one that does, such as 'blocks.0.hook_resid_post'."
                )
        return {name: vectors.flatten(2) for name, vectors in found.items()}

    @torch.inference_mode()
    def logits(
        self,
        tokens: Int[np.ndarray, "batch pos"],
        hooks: Iterable[tuple[str, Hook]] = (),
        memory: Memory | None = None,
        at: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Float[torch.Tensor, "batch pos d_vocab"] | Float[torch.Tensor, "n_at d_vocab"]:
        """Logits of the next token after each one, or after those in rows and positions `at`.

        `hooks` are called in the order given at one hook point; a head dimension is flattened for
        them. With a memory the tokens go on from those that filled it.
        """
        with self._hooked([(name, _flattened(name, hook)) for name, hook in hooks]):
            if at is not None:
                with self._unembedding_at(*at):
                    return self._bridge(self._input(tokens), return_type="logits")[0]
            if memory is None:
                return self._bridge(self._input(tokens), return_type="logits")
            found, memory.cache = self._bridge(
                self._input(tokens),
                return_type="logits_and_cache",
                past_key_values=memory.cache,
                use_cache=True,
            )
            return found

    @contextlib.contextmanager
    def _hooked(
        self, hooks: Iterable[tuple[str, Callable[[torch.Tensor], torch.Tensor | None]]]
    ) -> Iterator[None]:
        """Plain forward hooks, taken away at the end."""
        with contextlib.ExitStack() as handles:
            for name, hook in hooks:
                handle = self._bridge.get_hook_point(name).register_forward_hook(
                    lambda _module, _inputs, value, hook=hook: hook(value)
                )
                handles.callback(handle.remove)
            yield

    @contextlib.contextmanager
    def _unembedding_at(self, rows: np.ndarray, positions: np.ndarray) -> Iterator[None]:
        """Take some vectors alone to the vocabulary, as one row: that may cost most of a run."""
        handle = self._bridge.unembed.register_forward_pre_hook(
            lambda _module, args: (args[0][rows, positions][None], *args[1:])
        )
        try:
            yield
        finally:
            handle.remove()

    @contextlib.contextmanager
    def starting_at(
        self, layer: int, residual: Float[torch.Tensor, "batch pos d_model"]
    ) -> Iterator[None]:
        """Skip the blocks below a layer, 0 to n_layers: what they would give is given.

        TransformerLens's own `start_at_layer` runs them all and puts its vectors in afterwards.
        """
        blocks = self._bridge.blocks  # the very list that the Hugging Face model goes through
        skipped = list(blocks[:layer])
        for i, block in enumerate(skipped):
            blocks[i] = _Skipped(block, residual if i == layer - 1 else None)
        try:
            yield
        finally:
            for i, block in enumerate(skipped):
                blocks[i] = block

    def _input(self, tokens: Int[np.ndarray, "batch pos"]) -> Int[torch.Tensor, "batch pos"]:
        return torch.from_numpy(tokens).long().to(self._device)

    def contexts_at_once(self, context_length: int) -> int:
        """How many contexts run together.

        Always as many, because the last bits of a vector depend on how many share its products.
        """
        return max(1, TOKENS_AT_ONCE[self._device] // context_length)

    def unembedding(self) -> Unembedding:
        """Weights for the logit lens, in float32."""
        cfg = self._bridge.cfg
        gain = self._bridge.ln_final.weight.detach().float().cpu()
        if cfg.rmsnorm_uses_offset:
            gain = gain + 1
        weight = self._bridge.W_U.detach().float().cpu()
        return Unembedding(weight, gain, is_centred=self.has_layer_norm)

    def embedding(self) -> Float[torch.Tensor, "d_vocab d_model"]:
        """The vector that the model holds for each token, before any scale; in float32."""
        return self._bridge.W_E.detach().float().cpu()

    def to_residual(self, hook_name: str) -> Float[torch.Tensor, "d_out d_model"] | None:
        """Linear map from a hook point's space to the residual stream; None if there is none.

        The identity where the hook point carries residual vectors, W_out for the neurons of an
        MLP, W_O (heads flattened) for what attention heads read out.
        """
        match = re.fullmatch(r"blocks\.(\d+)\.(?:mlp\.hook_post|attn\.hook_z)", hook_name)
        if match:
            block = self._bridge.blocks[int(match.group(1))]
            weight = block.mlp.W_out if "mlp" in hook_name else block.attn.W_O
            return weight.detach().float().cpu().reshape(-1, self.d_model)
        return torch.eye(self.d_model) if is_residual(hook_name) else None

    def digest(self) -> str:
        """SHA-256 of the configuration and of all weights, by name."""
        config = self._bridge.original_model.config.to_dict()
        settings = {k: v for k, v in config.items() if k not in _NOT_THE_MODEL}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
        for name, weight in sorted(self._bridge.original_model.state_dict().items()):
            array = weight.detach().float().cpu().contiguous().numpy()
            digest.update(f"{name}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    def tokenizer_description(self) -> str:
        """All that decides how the tokenizer works, as text."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        rules = repr(self.tokenizer) if backend is None else backend.to_str()
        return f"{rules}{self.tokenizer.bos_token_id}"


def _flattened(name: str, hook: Hook) -> Callable[[torch.Tensor], torch.Tensor | None]:
    """The hook for vectors that may be split into heads."""

    def call(value: torch.Tensor) -> torch.Tensor | None:
        changed = hook(value.flatten(2))
        if changed is None:
            return None
        changed = changed.reshape(value.shape)
        # This point stands at the input of the MLP's branch; beside it the residual stream goes on
        # as the same tensor, which must change with it.
        return value.copy_(changed) if name.endswith("hook_resid_mid") else changed

    return call


class _Skipped(torch.nn.Module):
    """Stands in a block's place, so that those above keep their numbers."""

    def __init__(self, block: torch.nn.Module, residual: torch.Tensor | None) -> None:
        super().__init__()
        self._block = (block,)  # hidden from torch: it is no part of this one
        self._residual = residual

    def __getattr__(self, name: str) -> object:
        """What a model reads off its blocks, such as their kind of attention."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_block"][0], name)

    def forward(
        self, hidden: torch.Tensor, *_: object, **__: object
    ) -> Float[torch.Tensor, "batch pos d_model"]:
        return hidden if self._residual is None else self._residual


class _AllFound(Exception):
    """Ends a forward: nothing that comes after is needed."""


def load_model(
    name: str,
    revision: str | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    embedding: str | None = None,
    seed: int = 0,
) -> LanguageModel:
    """Open a model by hub name or local folder, with its raw weights.

    `embedding` puts another in the place of its input embedding: see `replace_embedding`.

    Raises:
        ModelError: nothing loadable is there, or no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "--device cuda: torch sees no CUDA device here. --device cpu works everywhere; for a "
            "GPU, install the torch that fits its driver (https://pytorch.org/get-started)."
        )
    folder = Path(name)
    if folder.exists() and not (folder / "config.json").is_file():
        raise ModelError(
            f"Model folder '{name}' has no config.json. Write one with "
            "model.save_pretrained(folder) and tokenizer.save_pretrained(folder)."
        )
    disable_progress_bar()  # of transformers, which draws one for a tenth of a second
    try:
        weights, found = AutoModelForCausalLM.from_pretrained(
            name,
            revision=revision,
            dtype=dtype,
            attn_implementation="eager",
            trust_remote_code=False,
            output_loading_info=True,
        )
        if embedding is not None:
            replace_embedding(weights, embedding, seed)
        bridge = TransformerBridge.boot_transformers(
            name, hf_model=_fused(weights), device=device, dtype=dtype, revision=revision
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        asked = f"'{name}' at revision '{revision}'" if revision else f"'{name}'"
        reason = str(error).partition("\n")[0]
        cure = _cure(name, revision)
        raise ModelError(f"Model {asked} could not be loaded. {cure} ({reason})") from error
    if found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])[:4])
        raise ModelError(
            f"Model '{name}' lacks {len(found['missing_keys'])} weights ({missing}, ...), which "
            "would be random numbers. Save the whole model again with save_pretrained."
        )
    # Where there are no files for it, transformers makes up a tokenizer of special tokens alone.
    tokenizer = bridge.tokenizer
    if tokenizer is None or len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(
            f"Model '{name}' has no tokenizer. Save it into the same folder: "
            "tokenizer.save_pretrained(folder)."
        )
    return LanguageModel(bridge, name, device)


def _fused(model: PreTrainedModel) -> PreTrainedModel:
    """The model, with torch's own GELU for the one that GPT-2 takes eight steps for."""
    for module in model.modules():
        for name, part in module.named_children():
            if isinstance(part, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))
    return model


def _cure(name: str, revision: str | None) -> str:
    """What to do about a model that could not be loaded."""
    if Path(name).exists():
        return "Save it again with save_pretrained; code that comes with a model is never run."
    at = f" --revision {revision}" if revision else ""
    given = "the name and 'model.revision'" if revision else "the name"
    return (
        "There is no such folder beside the recipe, written by save_pretrained, nor a model of "
        f"this name that is cached or reachable. Check {given} on https://huggingface.co, and the "
        "network; unset HF_HUB_OFFLINE if it is set, or fetch it where there is a network: "
        f"hf download {name}{at}"
    )
