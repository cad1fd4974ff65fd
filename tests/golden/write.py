"""Write the files beside this script with the libraries whose formats they have.

They pin our loaders to what the libraries compute, not to what we read in their sources. The
libraries cannot stand beside this project's own dependencies, so they get an environment of their
own (about 2 GB):

    python3.11 -m venv /tmp/golden
    /tmp/golden/bin/pip install torch==2.13.0
    /tmp/golden/bin/pip install sae-lens==6.54.12 natsort
    /tmp/golden/bin/pip install --no-deps dictionary-learning==0.1.0 eai-sparsify==1.3.3
    /tmp/golden/bin/python tests/golden/write.py

Two of the libraries want packages that only their training needs, and versions that disagree:
their modules are imported without what their `__init__.py` draws in. All weights are random.

`versions.json` says what wrote the files, `outputs.safetensors` what the libraries compute: the
vectors in `hidden`, and of each folder `<folder>/encoded` and `<folder>/decoded`.
"""

import importlib.util
import json
import platform
import shutil
import sys
import types
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from sae_lens import SAE
from sae_lens.saes.abstopk_sae import AbsTopKSAE, AbsTopKSAEConfig
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig
from sae_lens.saes.transcoder import (
    JumpReLUSkipTranscoder,
    JumpReLUSkipTranscoderConfig,
    SkipTranscoder,
    SkipTranscoderConfig,
    Transcoder,
    TranscoderConfig,
)
from sae_lens.training.activation_scaler import ActivationScaler
from safetensors.torch import save_file

HERE = Path(__file__).parent
D, D_OUT, N_FEATURES, K, N_VECTORS = 6, 5, 10, 3, 20
LIBRARIES = ("sae-lens", "dictionary-learning", "eai-sparsify", "torch", "safetensors")
Outputs = dict[str, torch.Tensor]


def _import_without_init(package: str) -> None:
    """Let a package's modules be imported, but nothing that its `__init__.py` would."""
    found = importlib.util.find_spec(package)
    bare = types.ModuleType(package)
    bare.__path__ = list(found.submodule_search_locations)
    sys.modules[package] = bare


torch.cuda.is_bf16_supported = lambda: False  # sparsify asks at its import, and fails without CUDA
for name in ("sparsify", "dictionary_learning"):
    _import_without_init(name)

from dictionary_learning.dictionary import AutoEncoderNew  # noqa: E402
from dictionary_learning.trainers import (  # noqa: E402
    BatchTopKTrainer,
    GatedSAETrainer,
    JumpReluTrainer,
    StandardTrainer,
    TopKTrainer,
)
from dictionary_learning.trainers.matryoshka_batch_top_k import (  # noqa: E402
    MatryoshkaBatchTopKTrainer,
)
from dictionary_learning.trainers.trainer import SAETrainer  # noqa: E402
from sparsify.config import SparseCoderConfig  # noqa: E402
from sparsify.sparse_coder import SparseCoder  # noqa: E402


def randomise(module: torch.nn.Module) -> None:
    """Random values for every weight, so that no bias is 0 and no direction of length 1."""
    for name, weight in module.named_parameters():
        weight.data.normal_(std=0.6)
        if name == "threshold":
            weight.data.abs_()
    for name, buffer in module.named_buffers():
        if "threshold" in name:
            buffer.fill_(0.3)


def write_sae_lens(hidden: torch.Tensor) -> Outputs:
    """Folders of SAELens, and what it computes when it has read them again."""
    sizes = {"d_in": D, "d_sae": N_FEATURES, "device": "cpu"}
    plain = {**sizes, "metadata": _metadata("blocks.3.hook_resid_pre")}
    through = {**sizes, "d_out": D_OUT, "apply_b_dec_to_input": False}
    through["metadata"] = _metadata("blocks.3.ln2.hook_normalized")
    made = {
        "standard": StandardSAE(StandardSAEConfig(**plain)),
        "no_pre_bias": StandardSAE(StandardSAEConfig(**plain, apply_b_dec_to_input=False)),
        "gated": GatedSAE(GatedSAEConfig(**plain)),
        "jumprelu": JumpReLUSAE(JumpReLUSAEConfig(**plain)),
        "topk": TopKSAE(TopKSAEConfig(**plain, k=K)),
        "topk_rescaled": TopKSAE(TopKSAEConfig(**plain, k=K, rescale_acts_by_decoder_norm=True)),
        "abstopk": AbsTopKSAE(AbsTopKSAEConfig(**plain, k=K, rescale_acts_by_decoder_norm=True)),
        "layer_norm": TopKSAE(TopKSAEConfig(**plain, k=K, normalize_activations="layer_norm")),
        "constant_norm": GatedSAE(
            GatedSAEConfig(**plain, normalize_activations="constant_norm_rescale")
        ),
        "transcoder": Transcoder(TranscoderConfig(**through)),
        "skip_transcoder": SkipTranscoder(SkipTranscoderConfig(**through)),
        "jumprelu_skip_transcoder": JumpReLUSkipTranscoder(JumpReLUSkipTranscoderConfig(**through)),
    }
    outputs = {}
    for name, sae in made.items():
        randomise(sae)
        sae.save_model(HERE / "sae_lens" / name)
        read = SAE.load_from_disk(HERE / "sae_lens" / name)
        outputs |= _outputs(f"sae_lens/{name}", read.encode(hidden), read(hidden))
    return outputs | _write_checkpoint(plain, hidden)


def _metadata(hook_name: str) -> SAEMetadata:
    return SAEMetadata(
        model_name="gpt2", hook_name=hook_name, hook_name_out="blocks.3.hook_mlp_out"
    )


def _write_checkpoint(settings: dict[str, object], hidden: torch.Tensor) -> Outputs:
    """A checkpoint of training, and the finished file that SAELens would make of it."""
    sae = BatchTopKTrainingSAE(
        BatchTopKTrainingSAEConfig(
            **settings,
            k=K,
            rescale_acts_by_decoder_norm=True,
            normalize_activations="expected_average_only_in",
        )
    )
    randomise(sae)
    scale, folder = 0.4, HERE / "sae_lens" / "batchtopk_checkpoint"
    sae.save_model(folder)
    ActivationScaler(scale).save(str(folder / "activation_scaler.json"))
    sae.fold_activation_norm_scaling_factor(scale)
    sae.save_inference_model(HERE / "sae_lens" / "batchtopk")
    finished = SAE.load_from_disk(HERE / "sae_lens" / "batchtopk")
    encoded, decoded = finished.encode(hidden), finished(hidden)
    outputs = _outputs("sae_lens/batchtopk", encoded, decoded)
    return outputs | _outputs("sae_lens/batchtopk_checkpoint", encoded, decoded)


def write_dictionary_learning(hidden: torch.Tensor) -> Outputs:
    """Folders as its training leaves them, and what the classes compute.

    Not what `AutoEncoder.from_pretrained` does: it makes every direction one long, and activations
    with it, which the file does not say.
    """
    settings = {"steps": 10, "activation_dim": D, "dict_size": N_FEATURES, "layer": 3}
    settings |= {"lm_name": "gpt2", "submodule_name": "resid_post_layer_3", "device": "cpu"}
    settings |= {"warmup_steps": 1, "decay_start": 5}
    sparse, topk = {"sparsity_warmup_steps": 1}, {"k": K}
    made: dict[str, Callable[[], SAETrainer]] = {
        "AutoEncoder": lambda: StandardTrainer(**settings, **sparse),
        "AutoEncoderNew": lambda: StandardTrainer(**settings, **sparse, dict_class=AutoEncoderNew),
        "GatedAutoEncoder": lambda: GatedSAETrainer(**settings, **sparse),
        "JumpReluAutoEncoder": lambda: JumpReluTrainer(**settings, **sparse),
        "AutoEncoderTopK": lambda: TopKTrainer(**settings, **topk),
        "BatchTopKSAE": lambda: BatchTopKTrainer(**settings, **topk),
        "MatryoshkaBatchTopKSAE": lambda: MatryoshkaBatchTopKTrainer(
            **settings, **topk, group_fractions=[0.5, 0.5]
        ),
    }
    outputs = {}
    for name, make in made.items():
        trainer, folder = make(), HERE / "dictionary_learning" / name
        randomise(trainer.ae)
        folder.mkdir(parents=True)
        torch.save(trainer.ae.state_dict(), folder / "ae.pt")
        (folder / "config.json").write_text(json.dumps({"trainer": trainer.config}, indent=4))
        trainer.ae.load_state_dict(torch.load(folder / "ae.pt"))
        encoded = trainer.ae.encode(hidden)
        outputs |= _outputs(f"dictionary_learning/{name}", encoded, trainer.ae.decode(encoded))
    return outputs


def write_sparsify(hidden: torch.Tensor) -> Outputs:
    """Folders of sparsify, and what it computes when it has read them again."""
    made = {
        "topk/layers.3": SparseCoderConfig(num_latents=N_FEATURES, k=K),
        "topk_skip/layers.3": SparseCoderConfig(num_latents=N_FEATURES, k=K, skip_connection=True),
        "transcoder/layers.3.mlp": SparseCoderConfig(num_latents=N_FEATURES, k=K, transcode=True),
        "transcoder_skip/layers.3.mlp": SparseCoderConfig(
            num_latents=N_FEATURES, k=K, transcode=True, skip_connection=True
        ),
    }
    outputs = {}
    for name, config in made.items():
        coder = SparseCoder(D, config)
        randomise(coder)
        coder.save_to_disk(HERE / "sparsify" / name)
        read = SparseCoder.load_from_disk(HERE / "sparsify" / name)
        found = read.encode(hidden)
        encoded = torch.zeros(N_VECTORS, N_FEATURES)
        encoded.scatter_(1, found.top_indices, found.top_acts)
        outputs |= _outputs(f"sparsify/{name}", encoded, read(hidden).sae_out)
    return outputs


def _outputs(folder: str, encoded: torch.Tensor, decoded: torch.Tensor) -> Outputs:
    found = {f"{folder}/encoded": encoded, f"{folder}/decoded": decoded}
    return {name: tensor.detach().clone().contiguous() for name, tensor in found.items()}


def main() -> None:
    """Write everything anew."""
    torch.manual_seed(0)
    for library in ("sae_lens", "dictionary_learning", "sparsify"):
        shutil.rmtree(HERE / library, ignore_errors=True)
    hidden = 2 * torch.randn(N_VECTORS, D) + 0.5
    outputs = {"hidden": hidden}
    for write in (write_sae_lens, write_dictionary_learning, write_sparsify):
        outputs |= write(hidden)
    save_file(outputs, HERE / "outputs.safetensors")
    versions = {library: version(library) for library in LIBRARIES}
    text = json.dumps({"python": platform.python_version(), **versions}, indent=1)
    (HERE / "versions.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
