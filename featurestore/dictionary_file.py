"""One dictionary's file: its layout, its manifest, its vocabulary."""

import functools
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.digests import table_digest
from featurestore.errors import DamagedStore, StoreError, UnknownFeature
from featurestore.feature_list import exact_text
from featurestore.records import DictionaryInfo
from featurestore.store_file import StoreFile
from featurestore.track_records import Activity

SCHEMA_VERSION = 5
KEYS = {
    "vocab": "token_id",
    "contexts": "context",
    "features": "feature",
    "bands": "feature, sampler, band",
    "examples": "feature, sampler, band, rank",
    "top_contexts": "context, feature, rank",
    "promoted_tokens": "token_id, is_promoted, rank, feature",
    "ablated_contexts": "feature, rank",
    "dependences": "feature, rank",
    "neighbours": "feature, measure, rank",
    "clusters": "cluster",
    "control_map": "number",
    "measures": "name",
    "substituted_tokens": "token_id",
}
"""Every table but the manifest, with the columns that order its rows."""

_CONTENT = {table: f"from {table}" for table in KEYS}
_MANIFEST = "select * from manifest"
_ACTIVITY = "select n_active, density, max_activation from features order by feature"
_VOCABULARY = "select token_id, token from vocab order by token_id"
_TOKENS_LIKE = """
    select token_id, token from vocab
    where trim(lower(token)) = trim(lower(?)) order by token_id limit 100
"""
_TOKENS_EXACT = "select token_id, token from vocab where token = ? order by token_id limit 100"


class DictionaryFile(StoreFile):
    """One dictionary's file, open. Safe to share between threads."""

    cure = "build the dictionary again"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self.info = self._read_manifest()
        except StoreError:
            self.close()
            raise

    def token_texts(self, token_ids: set[int]) -> dict[int, str]:
        """Token ids to texts, of those that the vocabulary has."""
        known, texts = self._vocabulary
        wanted = np.fromiter(token_ids, np.int64, len(token_ids))
        place = np.searchsorted(known, wanted)
        is_known = place < np.searchsorted(known, wanted, side="right")
        found = texts.take(pa.array(place[is_known])).to_pylist()
        return dict(zip(wanted[is_known].tolist(), found, strict=True))

    def matching_tokens(self, text: str) -> dict[int, str]:
        """Tokens equal to a text but for case and outer spaces; exactly equal to a quoted one."""
        if not is_unicode(text):
            return {}
        exact = exact_text(text)
        statement = _TOKENS_LIKE if exact is None else _TOKENS_EXACT
        rows = self.rows(statement, text if exact is None else exact)
        return {row["token_id"]: row["token"] for row in rows}

    def digest(self, table: str) -> tuple[int, str]:
        """Number of rows of a table, and the digest of what is in it, in the order it stands in."""
        with self._relation(_CONTENT[table]) as found:
            return table_digest(found.to_arrow_reader(100_000))

    @functools.cached_property
    def activity(self) -> Activity:
        """Of every feature: kept, since a page about training asks for it with every click."""
        return Activity(**self.arrays(_ACTIVITY))

    @functools.cached_property
    def _vocabulary(self) -> tuple[np.ndarray, pa.ChunkedArray]:
        """Token ids, rising, and their texts: kept, since every page asks for hundreds of them."""
        with self._relation(_VOCABULARY) as found:
            table = found.to_arrow_table()
        return table["token_id"].to_numpy(), table["token"]

    def _read_manifest(self) -> DictionaryInfo:
        info = _info(self.manifest(_MANIFEST, SCHEMA_VERSION), self._path)
        if info.dictionary_id != self._path.parent.name:
            raise DamagedStore(
                f"{self._path} holds dictionary '{info.dictionary_id}'. "
                f"Move it into a folder of that name: dictionaries/{info.dictionary_id}/."
            )
        return info


def check_feature(feature: int, info: DictionaryInfo) -> None:
    """Raise UnknownFeature unless a dictionary has a feature of this number."""
    if not 0 <= feature < info.n_features:
        raise UnknownFeature(
            f"No feature {feature} in '{info.dictionary_id}': "
            f"its features are 0 to {info.n_features - 1}."
        )


def is_unicode(text: str) -> bool:
    """Whether a text can be stored at all: half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _info(row: dict[str, Any], path: Path) -> DictionaryInfo:
    as_json = {"recipe", "digests", "versions", "tables", "dtype_change"}
    names = [field.name for field in fields(DictionaryInfo) if field.name != "path"]
    values = {
        name: json.loads(row[name]) if name in as_json and row[name] is not None else row[name]
        for name in names
    }
    return DictionaryInfo(**values, path=str(path))
