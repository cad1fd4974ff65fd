"""What every error is told with."""

import shlex
from pathlib import Path

from featurestore.errors import command


def test_a_command_is_read_by_a_shell_as_it_was_meant() -> None:
    words = ["match", "--family", "german run", "--store", "/my stores/it's $HOME"]
    said = command(*words[:-1], Path(words[-1]))
    assert shlex.split(said) == ["python", "-m", "featurestore", *words]
    assert command("build", "RECIPE") == "python -m featurestore build RECIPE"
