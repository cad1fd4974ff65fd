"""A file of an unfinished run: arrays under a header that says whose they are.

The header also holds their SHA-256, so a torn file, a flipped bit or a file of another run is told
from the real one. A file is written whole or not at all: under another name, forced to disk, then
renamed.
"""

import hashlib
import os
import secrets
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from featurestore.errors import BuildFailed

Arrays = dict[str, np.ndarray]


def write_stamped(path: Path, arrays: Arrays, stamp: dict[str, str]) -> None:
    """Write some arrays; OSError if the disk does not take them, and then there is no file."""
    unfinished = path.with_suffix(f".{secrets.token_hex(8)}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(save(arrays, metadata=stamp | {"sha256": _digest(arrays)}))
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the name of an empty file
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_stamped(path: Path, stamp: dict[str, str]) -> Arrays:
    """The arrays of a file that is as it was written.

    Raises:
        BuildFailed: it is missing or damaged, or has another stamp.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            found = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, SafetensorError) as error:
        raise _unusable(path, f"it cannot be read: {error}") from error
    for key, expected in stamp.items():
        if found.get(key) != expected:
            raise _unusable(path, f"its {key} is {found.get(key)}, expected {expected}")
    if found.get("sha256") != _digest(arrays):
        raise _unusable(path, "its content does not have the SHA-256 that its header gives")
    return arrays


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _unusable(path: Path, reason: str) -> BuildFailed:
    return BuildFailed(
        f"'{path}' cannot be used: {reason}. Delete it and run the same build again, which makes "
        "it anew."
    )
