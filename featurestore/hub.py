"""Dictionaries on the Hugging Face hub: `hub:owner/name/path[@revision]` to a path on this machine.

Only files of weights and settings are fetched, and only what stands at that path; what was fetched
before is found without a network.
"""

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from featurestore.errors import DictionaryError

PREFIX = "hub:"
_ADDRESS = re.compile(r"hub:([\w.-]+/[\w.-]+)/?([^@]*?)/?(?:@(.+))?")
_ENDINGS = ("json", "safetensors", "npz", "pt")


def on_this_machine(address: str, cache: Path | None = None) -> str:
    """The folder or file that an address names, fetched if need be; any other path as it is.

    Raises:
        DictionaryError: the address is none, or nothing is there, or the hub cannot be reached.
    """
    if not address.startswith(PREFIX):
        return address
    match = _ADDRESS.fullmatch(address)
    if match is None or ".." in match[2].split("/"):
        raise DictionaryError(
            f"'{address}' is no address on the hub. Expected hub:owner/name/path, such as "
            "hub:google/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71, and perhaps "
            "@revision behind it."
        )
    name, inside, revision = match.groups()
    wanted = [f"{inside}/*.{e}" if inside else f"*.{e}" for e in _ENDINGS]
    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=[*wanted, inside], cache_dir=cache
        )
    except (OSError, HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = str(error).partition("\n")[0]
        raise DictionaryError(
            f"'{address}' could not be fetched, and was not before ({reason}). Check the name and "
            "the revision, and that the hub can be reached; or fetch it elsewhere and give the "
            f"folder as 'path': hf download {name}"
        ) from error
    path = Path(folder, inside)
    if not path.exists():
        there = sorted(entry.name for entry in Path(folder).iterdir())[:8]
        raise DictionaryError(
            f"'{address}': '{name}' holds no '{inside}'. Of it there are here: {', '.join(there)}."
        )
    return str(path)
