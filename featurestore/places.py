"""Where weights and texts stand that a run was made from, so that they can be run again.

    store/local/<run_id>.json

Paths say something of this machine, so they are kept beside the files that are sent to others, not
in them. A path is written twice, from the root and from the store: it holds when a project is moved
with its store, and when the store is moved alone.
"""

import glob
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from featurestore.config import EMBEDDINGS, DictionaryConfig, Recipe
from featurestore.errors import BuildFailed, WeightsError


@dataclass(frozen=True)
class Place:
    """What to open to get a run's model and dictionary."""

    model: str
    """A folder, or a name on the hub."""
    revision: str | None
    dictionary: DictionaryConfig
    embedding: str | None = None
    """What was put in the place of the model's embedding, as the recipe says it."""
    seed: int = 0
    """What that was drawn by."""
    texts: tuple[str, ...] = ()
    """Patterns of the corpus's files; without those that match nothing any more."""


def place_of(recipe: Recipe, config: DictionaryConfig) -> Place:
    """What has to be opened to run a dictionary of a recipe again."""
    settings = recipe.model
    texts = recipe.corpus.files or ()
    return Place(settings.name, settings.revision, config, settings.embedding, recipe.seed, texts)


def write_place(store: Path, run_id: str, place: Place) -> None:
    """Note a run's place; an earlier note of the same run gives way.

    Raises:
        BuildFailed: the store's folder cannot be written to.
    """
    content: dict[str, Any] = asdict(place)
    if Path(place.model).is_dir():
        content["model"] = _both(place.model, store)
    content["dictionary"]["path"] = _both(place.dictionary.path, store)
    content["texts"] = [_both(pattern, store) for pattern in place.texts]
    file = _file(store, run_id)
    unfinished = file.with_suffix(f".{secrets.token_hex(8)}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(unfinished, file)
    except OSError as error:
        raise BuildFailed(f"'{file.parent}' cannot be written to: {error.strerror}.") from error


def read_place(store: Path, run_id: str, dictionary_id: str) -> Place:
    """Where a run's weights stand now.

    Raises:
        WeightsError: nobody noted it, or they are not there any more.
    """
    cure = (
        "Run the build of its recipe again, with the paths as they are now. What is published is "
        "not computed again, unless the code, the weights, the texts or a setting have changed "
        "since: then it is built anew. The demo's build: python -m featurestore.demo build"
    )
    try:
        content = json.loads(_file(store, run_id).read_text(encoding="utf-8"))
        model, dictionary = content["model"], content["dictionary"]
        name = model if isinstance(model, str) else _found(model, store, "model")
        path = _found(dictionary["path"], store, "dictionary")
        config = replace(DictionaryConfig(**dictionary), path=path)
        embedding, seed = content.get("embedding"), content.get("seed", 0)
        if embedding not in (None, *EMBEDDINGS) or type(seed) is not int:
            raise ValueError(f"embedding {embedding!r}, seed {seed!r}")
        texts = (_found_texts(both, store) for both in content.get("texts", []))
        return Place(name, content["revision"], config, embedding, seed, tuple(filter(None, texts)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"Where the weights of '{dictionary_id}' stand is not known here: the store came "
            f"without its folder 'local', or the note is damaged. {cure}"
        ) from error
    except WeightsError as error:
        raise WeightsError(f"{error} of '{dictionary_id}' is not there any more. {cure}") from error


def _file(store: Path, run_id: str) -> Path:
    return store / "local" / f"{run_id}.json"


def _both(path: str, store: Path) -> dict[str, str]:
    return {
        "from_store": os.path.relpath(path, store),
        "absolute": os.path.abspath(path),
    }


def _found(paths: dict[str, str], store: Path, what: str) -> str:
    """The first of both that exists."""
    for path in (store / paths["from_store"], Path(paths["absolute"])):
        if path.exists():
            return os.path.abspath(path)
    raise WeightsError(f"The {what} '{Path(paths['absolute']).name}'")


def _found_texts(patterns: dict[str, str], store: Path) -> str | None:
    """The first of both patterns that matches a file."""
    both = os.path.abspath(store / patterns["from_store"]), patterns["absolute"]
    return next((each for each in both if any(glob.iglob(each, recursive=True))), None)
