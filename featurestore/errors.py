"""Every error that a user can meet.

    FeatureStoreError
    ├── BadInput             something the user gave is wrong: exit code 2
    │   ├── RecipeError      a recipe's key, type or value
    │   ├── DictionaryError  a dictionary's file, key or shape
    │   ├── ModelError       a model's folder, name or hook point
    │   ├── CorpusError      a file, row or data set, or no text at all
    │   ├── UnfinishedRun    an earlier build of the dictionary has other settings
    │   ├── TextError        a text too long to run, or none
    │   ├── AnnotationError  a label, note, tag or author that cannot be kept
    │   ├── TableError       a file of annotations or explanations that cannot be read
    │   ├── MatchError       two dictionaries that cannot be compared
    │   └── LinkError        two dictionaries of which one does not feed the other
    ├── StoreError           the store cannot answer
    │   ├── StoreNotFound    no store at this path
    │   ├── UnknownDictionary  exit code 2, too: a wrong id
    │   ├── UnknownFeature     likewise, a wrong number
    │   ├── NotCompared      two dictionaries without a file of matches
    │   ├── TooSlow          a question that was stopped
    │   └── DamagedStore     a file that cannot be read
    ├── AnnotationsError     annotations cannot be read or saved now: locked, full, unreachable
    ├── WeightsError         what a dictionary was built from is elsewhere or changed
    ├── Busy                 too many wait for the model already
    ├── BuildFailed          a build could not be finished: exit code 1
    └── Stopped              a signal ended a build: exit code 128 + its number

A message says what was asked, what was found, what would have been right, and the next command.
"""

import shlex
import sys


def command(*words: object) -> str:
    """A command as a shell takes it: names and paths may have spaces."""
    return shlex.join(["python", "-m", "featurestore", *map(str, words)])


class FeatureStoreError(Exception):
    """The root: its text is meant for the user, without a stack trace."""

    exit_code = 1


class BadInput(FeatureStoreError):
    """What the user gave cannot be used."""

    exit_code = 2


class RecipeError(BadInput):
    """A recipe has an unknown key, a wrong type or a value that is not allowed."""


class DictionaryError(BadInput):
    """A dictionary's file is missing, of no known format, or its weights are wrong."""


class ModelError(BadInput):
    """A model cannot be loaded, or has no such hook point."""


class CorpusError(BadInput):
    """A corpus is missing, cannot be read or holds no text."""


class UnfinishedRun(BadInput):
    """A build of the same dictionary stopped before its end, and had other settings."""


class TextError(BadInput):
    """A text is too long to be run at once, or holds no token."""


class AnnotationError(BadInput):
    """A label, note, tag, verdict or author is too long or cannot be kept."""


class TableError(BadInput):
    """A file of annotations or explanations is no such table, or its rows cannot all be taken."""


class MatchError(BadInput):
    """Dictionaries that cannot be compared, or that were not named."""


class LinkError(BadInput):
    """Dictionaries of which the first cannot feed the second, or that were not named."""


class AnnotationsError(FeatureStoreError):
    """Annotations cannot be read or saved now; nothing was changed."""


class WeightsError(FeatureStoreError):
    """The weights that a dictionary was built from are not where they were, or have changed."""


class Busy(FeatureStoreError):
    """As many wait for the model as may."""


class StoreError(FeatureStoreError):
    """The store cannot answer a question."""


class StoreNotFound(StoreError):
    """There is no store at the path."""


class UnknownDictionary(StoreError):
    """The store has no dictionary of this id."""

    exit_code = 2


class UnknownFeature(StoreError):
    """The dictionary has no feature of this number."""

    exit_code = 2


class NotCompared(StoreError):
    """Two dictionaries were not compared, or not as they are now."""


class TooSlow(StoreError):
    """A question ran into its limit and was stopped."""


class DamagedStore(StoreError):
    """A file of the store cannot be read."""


class BuildFailed(FeatureStoreError):
    """A build could not finish; the store is as it was."""


class Stopped(FeatureStoreError):
    """A command ended early because it was told to; what is finished is kept."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(
            "stopped by a signal; the same command goes on: swept blocks, published files and what "
            "long passes have made are kept"
        )
        self.exit_code = 128 + signal_number


def not_installed(error: ModuleNotFoundError) -> str:
    """What to do where this Python lacks a requirement.

    Raises:
        ModuleNotFoundError: the same, if what is missing is no requirement but a part of one.
    """
    if error.name is None or "." in error.name:
        raise error
    return (
        f"{error.name} is not installed in this Python ({sys.executable}). Activate the "
        "environment that `make demo` sets up: source .venv/bin/activate"
    )
