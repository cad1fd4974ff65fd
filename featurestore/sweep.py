"""One sweep of the corpus: each block runs through the model once, for all dictionaries.

A block is a fixed range of contexts, so its number alone says what is in it. Blocks that are
already on disk are skipped, which is all that resuming takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from featurestore.activations import write_block
from featurestore.corpus import Corpus
from featurestore.dictionaries.base import Dictionary
from featurestore.errors import BuildFailed
from featurestore.inference import LanguageModel

ENCODED_AT_ONCE = 2**23
"""Numbers in one tile of dense activations: 32 MB, so that it stays near the processor."""


@dataclass(frozen=True)
class Target:
    """A dictionary to encode with, and the folder that takes its blocks."""

    dictionary: Dictionary
    folder: Path


def block_path(folder: Path, block: int) -> Path:
    """Where a block's activations go."""
    return folder / f"block-{block:06d}.safetensors"


def n_blocks(corpus: Corpus, contexts_per_block: int) -> int:
    """Number of blocks of a corpus."""
    return -(-len(corpus.tokens) // contexts_per_block)


def sweep(
    model: LanguageModel, corpus: Corpus, targets: list[Target], contexts_per_block: int
) -> None:
    """Write every block that is missing, of every target.

    Raises:
        BuildFailed: a block could not be written.
    """
    for target in targets:
        try:
            target.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BuildFailed(f"'{target.folder}' cannot be made: {error.strerror}.") from error
    total = corpus.n_tokens
    with tqdm(total=total, unit="tok", unit_scale=True, desc="sweep", leave=False) as progress:
        for block in range(n_blocks(corpus, contexts_per_block)):
            rows = slice(block * contexts_per_block, (block + 1) * contexts_per_block)
            missing = [t for t in targets if not block_path(t.folder, block).exists()]
            if missing:
                _run_block(model, corpus, missing, block, rows)
            progress.update(int(corpus.is_valid(rows).sum()))


def _run_block(
    model: LanguageModel, corpus: Corpus, targets: list[Target], block: int, rows: slice
) -> None:
    hidden = model.hidden(corpus.tokens[rows], {t.dictionary.origin.hook_name for t in targets})
    is_valid = corpus.is_valid(rows)
    places = np.flatnonzero(is_valid) + rows.start * corpus.tokens.shape[1]
    places = places.astype(np.uint32 if corpus.tokens.size < 2**32 else np.uint64)
    for target in targets:
        vectors = hidden[target.dictionary.origin.hook_name][torch.from_numpy(is_valid)]
        parts = list(_nonzero(target.dictionary, vectors))
        row, feature, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        try:
            write_block(block_path(target.folder, block), feature, places[row], value)
        except OSError as error:
            raise BuildFailed(
                f"Block {block} could not be written to '{target.folder}': {error.strerror}. "
                "Free space there and run the same build again: it goes on where it stopped."
            ) from error


@torch.inference_mode()
def _nonzero(
    dictionary: Dictionary, vectors: torch.Tensor
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Row, feature and value of every non-zero activation, tile by tile (NaN is not zero)."""
    tile = max(1, ENCODED_AT_ONCE // dictionary.n_features)
    for start in range(0, len(vectors), tile):
        activations = dictionary.encode(vectors[start : start + tile])
        flat = activations.numpy().reshape(-1)
        entries = np.flatnonzero(flat)
        row, feature = np.divmod(entries, dictionary.n_features)
        yield row + start, feature, flat[entries]
