import subprocess
import sys
from pathlib import Path

import pytest

from app import __main__ as command
from app.session import arguments
from featurestore.annotations.records import URL_VARIABLE

ROOT = Path(__file__).parent.parent.parent


def test_a_missing_store_is_told_before_anything_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", str(tmp_path / "nowhere")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(f"No store in '{tmp_path}/nowhere'")
    assert run.stderr.count("\n") == 1


def test_the_command_line() -> None:
    options = arguments(["somewhere", "--port", "9000", "--read-only"])
    assert (options.store, options.port, options.read_only) == (Path("somewhere"), 9000, True)
    assert arguments([]).store == Path("store")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("postgresql+psycopg://ann:secret@host/labels", None),
        ("sqlite:////data/labels.sqlite", None),
        ("sqlite:///labels.sqlite", "sqlite:///{folder}/labels.sqlite"),
    ],
)
def test_annotations_are_kept_where_they_were_said_to_be(
    synthetic_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    wanted: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(URL_VARIABLE, "before")
    seen = []
    monkeypatch.setattr(command.cli, "main", lambda flags, prog_name: seen.extend(flags))
    monkeypatch.setattr(command.os, "chdir", lambda _: None)
    assert command.main([str(synthetic_store), "--annotations", given]) == 0
    # Its password is not in the process's name; the pages read it as Streamlit's script does.
    assert given not in seen and any("main.py" in flag for flag in seen)
    own = arguments(seen[seen.index("--") + 1 :])
    assert own.annotations == (wanted or given).format(folder=tmp_path)
