"""The Dockerfile's lines replayed in an empty folder: what it copies suffices to serve a store."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from websockets.sync.client import connect

from tests.test_deployment import DOCKERFILE, ROOT, check_health

LINES = re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines()


def arguments(instruction: str) -> list[str]:
    """What follows each such instruction."""
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{instruction} ")]


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """The folder that the image runs in, closed to writing as its user finds it."""
    folder = tmp_path / "image"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "secrets.toml", "*.tmp")
    for source, target in (line.split() for line in arguments("COPY")):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / target, ignore=ignored)
        else:
            shutil.copy(ROOT / source, folder / target)
    folders = [folder, *(one for one in folder.rglob("*") if one.is_dir())]
    for one in folders:
        one.chmod(0o555)
    yield folder
    for one in folders:
        one.chmod(0o755)


def test_what_the_image_copies_serves_a_store(
    image: Path, synthetic_store: Path, tmp_path: Path
) -> None:
    (home := tmp_path / "home").mkdir()
    (environment,) = arguments("ENV")
    env = dict(part.split("=", 1) for part in environment.split())
    env |= {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    (command,) = (json.loads(line) for line in arguments("CMD"))
    port = free_port()
    command = [sys.executable, *command[1:-1], str(synthetic_store), "--port", str(port)]
    before = {path: path.stat().st_mtime_ns for path in image.rglob("*")}
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=image, env=env, stdout=output, stderr=output) as process,
    ):
        try:
            for _ in range(600):
                assert process.poll() is None, log.read_text()
                if check_health(port) == 0:
                    break
                time.sleep(0.1)
            found = psutil.Process(process.pid).net_connections("tcp")
            assert [one.laddr.ip for one in found if one.status == "LISTEN"] == ["0.0.0.0"]
            with connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"]):
                process.send_signal(signal.SIGTERM)  # as `docker stop` does, with a visitor there
                assert process.wait(timeout=10) in (0, -signal.SIGTERM)
        finally:
            process.kill()
    assert "Traceback" not in log.read_text()
    assert "external IP" not in log.read_text()  # which would have to be asked for on the web
    assert {path: path.stat().st_mtime_ns for path in image.rglob("*")} == before
    assert list(home.iterdir()) == []


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
