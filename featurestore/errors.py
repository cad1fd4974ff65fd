"""Every error that a user can meet.

    FeatureStoreError
    ├── BadInput             something the user gave is wrong: exit code 2
    │   ├── RecipeError      a recipe's key, type or value
    │   ├── DictionaryError  a dictionary's file, key or shape
    │   ├── ModelError       a model's folder, name or hook point
    │   └── CorpusError      a text file, or no text at all
    ├── StoreError           the store cannot answer
    │   ├── StoreNotFound    no store at this path
    │   ├── UnknownDictionary
    │   ├── UnknownFeature
    │   └── DamagedStore     a file that cannot be read
    └── BuildFailed          a build stopped: exit code 1

A message says what was asked, what was found, what would have been right, and the next command.
"""


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
    """A corpus is missing or holds no text."""


class StoreError(FeatureStoreError):
    """The store cannot answer a question."""


class StoreNotFound(StoreError):
    """There is no store at the path."""


class UnknownDictionary(StoreError):
    """The store has no dictionary of this id."""


class UnknownFeature(StoreError):
    """The dictionary has no feature of this number."""


class DamagedStore(StoreError):
    """A file of the store cannot be read."""


class BuildFailed(FeatureStoreError):
    """A build could not finish; the store is as it was."""
