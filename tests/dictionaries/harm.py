"""What no format's loader may take: files that would run code, lie about their size, or are cut."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from featurestore.errors import DictionaryError
from tests.damage import damaged
from tests.dictionaries.opened import opened


class Bomb:
    """Makes a folder when unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def huge() -> torch.Tensor:
    """A matrix of four terabytes in a file of a few bytes."""
    return torch.zeros(1).expand(10**6, 10**6)


def refusal(path: Path, **said: object) -> str:
    """What is said instead of loading it; it must name the path."""
    with pytest.raises(DictionaryError) as error:
        opened(path, **said)
    assert str(path) in str(error.value)
    return str(error.value)


def check_refused(file: Path, save: Callable[[object], None], **said: object) -> None:
    """A good file is read; a bomb, a matrix that is not there, a pointer and damage are not.

    `save` writes the file again with something in place of one of its matrices.
    """
    opened(file, **said)
    good = file.read_bytes()
    canary = file.parent / "canary"
    save(Bomb(canary))
    assert "could run code (posix.mkdir)" in refusal(file, **said)
    assert not canary.exists()
    save(huge())
    assert file.stat().st_size < 20_000
    assert f"of shape {(10**6, 10**6)}" in refusal(file, **said)
    file.write_text("version https://git-lfs.github.com/spec/v1\nsize 3\n")
    assert "git lfs pull" in refusal(file, **said)
    n_refused = 0
    for content in damaged(good, 60):
        file.write_bytes(content)
        try:
            opened(file, **said)
        except DictionaryError as error:
            n_refused += 1
            assert str(file) in str(error)
    assert n_refused > 20
