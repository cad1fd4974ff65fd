"""Open a dictionary as a recipe does, by what is recognised."""

from pathlib import Path

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.load import load_dictionary


def opened(
    path: Path, hook_name: str | None = None, hook_name_out: str | None = None, **said: object
) -> Dictionary:
    """The dictionary at a path, with what a recipe says of it."""
    return load_dictionary(DictionaryConfig("opened", str(path), hook_name, hook_name_out, **said))
