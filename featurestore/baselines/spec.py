"""What a recipe asks for as a baseline, and all that decides its weights."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import Dictionary
from featurestore.digests import folder_digest
from featurestore.errors import DictionaryError

_HIDDEN_LAYER = re.compile(r"blocks\.\d+\.mlp\.hook_post")


@dataclass(frozen=True)
class Baseline:
    """One baseline, its defaults filled in."""

    id: str
    kind: str
    hook_name: str
    n_features: int | None
    """Both signs counted; None for all that there are."""
    is_split: bool
    like: Dictionary | None
    """What its densities and its number are taken from."""

    @staticmethod
    def of(config: DictionaryConfig, like: Dictionary | None) -> "Baseline":
        """What a recipe says, with the dictionary that it names as `like`.

        Raises:
            DictionaryError: neurons are asked for where there are none.
        """
        hook_name = config.hook_name or like.origin.hook_name
        if config.baseline == "neurons" and not _HIDDEN_LAYER.fullmatch(hook_name):
            raise DictionaryError(
                f"Dictionary '{config.id}': neurons stand at the hidden layer of an MLP, such as "
                f"'blocks.0.mlp.hook_post', but its hook point is '{hook_name}'. Mend 'hook_name' "
                'in the recipe, or take baseline = "identity", which reads any hook point.'
            )
        is_random = config.baseline == "random"
        n_features = config.n_features
        if is_random and n_features is None:
            n_features = like.n_features
        is_split = not is_random and config.signs != "signed"
        like = like if is_random else None
        return Baseline(config.id, config.baseline, hook_name, n_features, is_split, like)

    @property
    def hook_names(self) -> set[str]:
        """Hook points whose vectors must be read to fit it."""
        if self.kind in ("neurons", "identity"):
            return set()
        return {self.hook_name} | ({self.like.origin.hook_name} if self.like else set())

    def check_width(self, d: int) -> None:
        """Raise DictionaryError if it has more directions than vectors of this length can have."""
        if self.kind in ("pca", "ica"):
            self.n_axes(d, "dimensions")

    def n_axes(self, n_available: int, what: str) -> int:
        """How many axes make its features; all that are available if it does not say.

        Raises:
            DictionaryError: there are not so many.
        """
        each = 2 if self.is_split else 1
        n = n_available if self.n_features is None else self.n_features // each
        if not 0 < n <= n_available:
            raise DictionaryError(
                f"Dictionary '{self.id}': 'n_features' is {self.n_features or 'all'}, but "
                f"'{self.hook_name}' has {n_available} {what}, which make at most "
                f"{each * n_available} features. Give at most that, or leave 'n_features' out."
            )
        return n

    def digest(self, source: dict[str, str | int]) -> str:
        """SHA-256 of all that decides its weights; `source` says what it is fitted on."""
        settings = {
            "kind": self.kind,
            "hook_name": self.hook_name,
            "n_features": self.n_features,
            "is_split": self.is_split,
            "like": self.like and self.like.digest(),
            "source": source,
            "code": folder_digest(Path(__file__).parent, "*.py"),
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
