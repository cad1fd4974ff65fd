import subprocess
import sys
from pathlib import Path

from app.session import arguments

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
