"""The same as Live, from Python.

from featurestore.notebook import open_store

store = open_store("store")
store.activations("The cat sat on the mat.", dictionary="resid-2-topk")
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from featurestore.dictionary_file import check_feature
from featurestore.live.records import MAX_BYTES, Limits, TextActivations, Tokens
from featurestore.live.runner import Runner
from featurestore.live.weights import Loaded, Weights
from featurestore.records import DictionaryInfo
from featurestore.store import Store


class LoadedWhenAsked(Weights):
    """Nobody opens Live in a notebook: what is not loaded yet is loaded then."""

    def get(self, info: DictionaryInfo) -> Loaded:
        """A run's dictionary; raises WeightsError as `load` does."""
        return self.load(info)


class Notebook(Store):
    """A store whose dictionaries can be run; weights are loaded once, when they are needed."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(folder)
        # As long as the model reads: nobody else waits for it here.
        limits = Limits(max_bytes, n_tokens=2**31)
        self.runner = Runner(self, limits, LoadedWhenAsked(self.folder))

    def activations(
        self,
        text: str,
        dictionary: str,
        features: Sequence[int] | None = None,
        special: bool = False,
    ) -> pd.DataFrame:
        """Activations of a dictionary's features on a text: a row for each token.

        Rows are labelled by position and token; a BOS in front, as the build put it there, has
        none. Columns are the numbers of the features that are active anywhere, or of `features`.
        Special tokens written in the text are plain text unless `special`.

        Raises:
            UnknownDictionary, UnknownFeature: the store has none such.
            TextError: the text is too long for the model, or empty.
            WeightsError: the weights are not those that the store was built from.
        """
        info = self.dictionary(dictionary)
        tokens = self.runner.tokens(dictionary, text, special)
        (found,) = self.runner.activations([dictionary], tokens)
        if features is None:
            features = np.unique(found.feature).tolist()
        for feature in features:
            check_feature(feature, info)
        return _frame(tokens, found, features)


def open_store(path: str | Path) -> Notebook:
    """A store by its folder.

    Raises:
        StoreNotFound: there is no store in it.
    """
    notebook = Notebook(Path(path).absolute())  # a notebook may go to another folder
    notebook.catalogue()
    return notebook


def _frame(tokens: Tokens, found: TextActivations, features: Sequence[int]) -> pd.DataFrame:
    columns = pd.Index(features, name="feature", dtype=np.int64)
    values = np.zeros((found.n_tokens, len(columns)), dtype=np.float32)
    for column, feature in enumerate(columns):
        mine = slice(*np.searchsorted(found.feature, [feature, feature + 1]))
        values[found.pos[mine], column] = found.value[mine]
    rows = pd.MultiIndex.from_arrays(
        [range(len(tokens.texts)), list(tokens.texts)], names=["pos", "token"]
    )
    return pd.DataFrame(values, index=rows, columns=columns)
