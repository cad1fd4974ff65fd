"""Recipes: a TOML file that says which model, dictionaries and corpus.

Every table of the file is a dataclass here, every key a field with a sentence under it.
"""

from dataclasses import dataclass, field

EMBEDDINGS = ("shuffled", "random")
"""What a control may make of a model's embedding."""


@dataclass(frozen=True)
class ModelConfig:
    """`[model]`: the language model."""

    name: str
    """Folder written by `save_pretrained` (relative to the recipe), or a name on the hub."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    title: str | None = None
    """What to call it; the name, or the last part of a folder's, if absent."""
    step: int | None = None
    """The model's own training step, shown beside its title; that of a revision such as `step3000`
    or `checkpoint-3000`, if absent."""
    embedding: str | None = None
    """A control for dictionaries of the embedding: `shuffled` gives each token the row of another,
    `random` a random row as long as its own. The unembedding stays as it is."""


@dataclass(frozen=True)
class DictionaryConfig:
    """`[[dictionaries]]`: one dictionary to build."""

    id: str
    """Name in the store and in URLs: letters, digits, '.', '_' and '-'."""
    path: str | None = None
    """Its folder or file, relative to the recipe; or `hub:owner/name/path[@revision]`."""
    hook_name: str | None = None
    """Hook point it reads, if its file does not say or says it wrongly; where both say it, the log
    warns and the recipe counts."""
    hook_name_out: str | None = None
    """Hook point it writes to, likewise."""
    family: str | None = None
    """Training run or sweep it belongs to, likewise."""
    step: int | None = None
    """Dictionary-training step, likewise."""
    k: int | None = None
    """Active features of a token, for a format that does not say it."""
    index: int | None = None
    """Which one, from 0, of a file that holds several."""
    centred: bool | None = None
    """Whether it was trained on residual vectors less the mean of their entries, as models give
    whose weights TransformerLens centred; likewise."""
    baseline: str | None = None
    """Instead of a path, what the build makes itself: neurons, identity, random, pca or ica."""
    like: str | None = None
    """For a baseline: id of the dictionary that it is compared with, whose hook point it reads."""
    n_features: int | None = None
    """For a baseline: how many, both signs counted; all that there are, or as `like` has."""
    signs: str | None = None
    """For a baseline: "split" makes two features of a direction, one for each sign, as if absent;
    "signed" one whose activations may be negative."""


@dataclass(frozen=True)
class CorpusConfig:
    """`[corpus]`: what dashboards are computed on; exactly one of the first three keys."""

    files: tuple[str, ...] | None = None
    """Patterns of files relative to the recipe, such as `texts/**/*.txt`: UTF-8 text, JSON lines
    (`.jsonl`, `.ndjson`, also with `.gz`) or Parquet."""
    dataset: str | None = None
    """A data set on the hub (`owner/name`), or a folder relative to the recipe: of `save_to_disk`,
    or of data files."""
    vocabulary: bool = False
    """Whether every token of the model's vocabulary is a context of its own."""
    column: str = "text"
    """Column of rows that holds their text, or lists of token ids."""
    subset: str | None = None
    """Configuration of the data set, if it has several."""
    split: str = "train"
    """Split of the data set."""
    name: str | None = None
    """What to call it; "text files", the data set's name or "vocabulary", if absent."""
    context_length: int = 128
    """Tokens in a context, BOS included."""
    prepend_bos: bool = True
    """Whether each context opens with the model's BOS token."""
    max_tokens: int | None = None
    """Stop after this many tokens; all of them if absent, which a data set on the hub forbids.
    Files are read in turn, a document of each."""


@dataclass(frozen=True)
class PassesConfig:
    """`[passes]`: how much to keep of each feature."""

    n_top: int = 24
    """Contexts with the highest activations."""
    n_bands: int = 10
    """Interval bands, and as many rank bands."""
    n_per_band: int = 5
    """Examples sampled from each band."""
    n_random: int = 20
    """Examples sampled from all active tokens."""
    n_zero: int = 20
    """Examples sampled from tokens where the feature is silent."""
    n_lens_tokens: int = 12
    """Tokens kept at either end of the logit lens."""
    n_bins: int = 50
    """Bins of a histogram."""
    n_ablated_top: int = 4
    """Of the top contexts, those on which the feature is switched off; 0 for none."""
    n_ablated_bands: int = 4
    """Interval bands, spread evenly, from which one more context each is taken; 0 for none."""
    n_control_draws: int = 2
    """Random directions that are taken off, for each of these contexts, as a control."""
    n_dependences: int = 2
    """Of the top contexts, those whose earlier tokens are deleted one by one; 0 for none."""
    n_deleted: int = 16
    """Tokens before the peak that are deleted, at most."""
    n_neighbours: int = 10
    """Nearest directions kept of each feature, and as many that are active with it; 0 for none."""
    n_scored: int = 64
    """Contexts on which the model runs with the dictionary's vectors in place of its own; 0 for
    none."""
    map: bool = True
    """Whether features are laid out on a map, and random directions beside them."""


@dataclass(frozen=True)
class Recipe:
    """A whole file."""

    model: ModelConfig
    dictionaries: tuple[DictionaryConfig, ...]
    corpus: CorpusConfig
    passes: PassesConfig = field(default_factory=PassesConfig)
    seed: int = 0
    """Seed of every sample."""
    dtype: str = "float32"
    """Precision of the model and of encoding: float32, or bfloat16, which is faster on a GPU and on
    processors with AMX; the manifest then says how much it changes the activations."""
    contexts_per_block: int = 64
    """Contexts in a block, the unit of work that is saved: part of the run's identity."""
