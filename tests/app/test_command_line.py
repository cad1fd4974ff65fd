import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from app import __main__ as command
from app.command_line import arguments
from featurestore.annotations.records import URL_VARIABLE

ROOT = Path(__file__).parent.parent.parent


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_a_missing_store_is_told_before_anything_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", str(tmp_path / "nowhere")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(f"No store in '{tmp_path}/nowhere'")
    assert run.stderr.count("\n") == 1


def test_a_python_without_the_requirements_is_told_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-m", "app", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith(f"click is not installed in this Python ({sys.executable}). ")
    assert run.stderr.endswith(": source .venv/bin/activate\n")
    assert run.stderr.count("\n") == 1


def test_the_command_line() -> None:
    options = arguments(["somewhere", "--port", "9000", "--read-only"])
    assert (options.store, options.port, options.read_only) == (Path("somewhere"), 9000, True)
    assert arguments([]).store == Path("store")
    assert (arguments([]).sign_in, arguments(["--sign-in"]).sign_in) == (None, "*")


def test_the_pages_get_what_the_command_was_given() -> None:
    given = ["s", "--read-only", "--sign-in=*@a.org", "--live", "on", "--live-requests", "7"]
    own = arguments(command._for_the_script(arguments(given)))
    assert (own.read_only, own.sign_in, own.live, own.live_requests) == (True, "*@a.org", "on", 7)
    with pytest.raises(SystemExit):
        arguments(["--live-requests", "0"])


def test_sign_in_without_settings_is_told_before_anything_is_served(
    synthetic_store: Path, tmp_path: Path
) -> None:
    port = free_port()
    given = [sys.executable, "-m", "app", str(synthetic_store), "--port", port, "--sign-in"]
    env = os.environ | {"STREAMLIT_SECRETS_FILES": str(tmp_path / "none.toml")}
    run = subprocess.run(given, cwd=ROOT, env=env, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("--sign-in needs redirect_uri, cookie_secret")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "start"),
    [
        (signal.SIGINT, []),
        (signal.SIGINT, ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]),  # as of a script's `&`
        (signal.SIGTERM, []),
    ],
    ids=["Ctrl-C", "Ctrl-C, ignored", "kill"],
)
def test_a_signal_ends_the_app_without_a_word(
    synthetic_store: Path, number: signal.Signals, start: list[str]
) -> None:
    port = free_port()
    command = [*start, sys.executable, "-m", "app", str(synthetic_store), "--port", port]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until_healthy(port, process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    # By the signal itself, so nothing of Python's own end is run, which tells of leaked bindings.
    assert process.returncode == -number
    assert errors.strip() == ""


def wait_until_healthy(port: str, process: subprocess.Popen) -> None:
    for _ in range(600):
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health"):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("no answer")


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
    monkeypatch.setattr(command, "once_up", lambda *_: None)
    monkeypatch.setattr(command.cli, "main", lambda flags, **_: seen.extend(flags))
    monkeypatch.setattr(command.os, "chdir", lambda _: None)
    monkeypatch.setattr(command, "_end_by", lambda _: None)
    assert command.main([str(synthetic_store), "--annotations", given]) == 0
    # Its password is not in the process's name; the pages read it as Streamlit's script does.
    assert given not in seen and any("server.py" in flag for flag in seen)
    own = arguments(seen[seen.index("--") + 1 :])
    assert own.annotations == (wanted or given).format(folder=tmp_path)
