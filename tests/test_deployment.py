"""What a stranger's machine meets: the pins, the container, the settings, the script of CI."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import streamlit.config
from packaging.version import Version

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
REQUIREMENTS = ("requirements.txt", "requirements-ray.txt", "requirements-test.txt")

FLOORS = {
    "python-multipart": "0.0.26",  # CVE-2026-40347
    "ray": "2.54",  # CVE-2026-27482
    "starlette": "1.1",  # CVE-2026-48710, CVE-2026-48818
    "torch": "2.10",  # CVE-2026-24747
    "transformers": "5.10",  # CVE-2026-4372, CVE-2026-9856
}
"""The first releases without known holes; two of these no requirement of ours names."""


def requirements(file: str) -> list[str]:
    """The lines of a requirements file, without comments."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [line for line in (line.partition("#")[0].strip() for line in lines) if line]


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_requirements_are_pinned_and_installed(file: str) -> None:
    for line in requirements(file):
        if line.removeprefix("-r ") in REQUIREMENTS:
            continue
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*", line), line
        name, _, pin = line.partition("==")
        # The public part: a build for one kind of machine is torch 2.13.0+cpu.
        assert Version(importlib.metadata.version(name)).public == pin


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_no_version_with_a_known_hole(name: str, floor: str) -> None:
    assert Version(importlib.metadata.version(name)) >= Version(floor)


def test_ci_runs_the_tests_as_everybody_does() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {"set -euo pipefail", "export CI=true", "make test"} <= set(script.splitlines())


def test_streamlit_knows_every_setting() -> None:
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    themes = {f"theme.{name}": settings["theme"].pop(name) for name in ("light", "dark")}
    for section, options in (settings | themes).items():
        assert options.keys() <= streamlit.config.get_options_for_section(section).keys()
    largest = settings["server"]["maxMessageSize"] * 10**6
    assert settings["global"]["minCachedMessageSize"] > largest  # see test_strangers.py
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["browser"]["gatherUsageStats"] is False
    assert themes["theme.light"].keys() == themes["theme.dark"].keys()


def test_hadolint_finds_nothing() -> None:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    hadolint = shutil.which("hadolint", path=places)
    if hadolint is None and os.environ.get("CI") != "true":
        pytest.skip("hadolint is not installed: it is part of requirements-test.txt")
    assert hadolint, "CI needs hadolint"
    run = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_container_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.M)
    assert users
    assert users[-1].isdecimal()  # so that an orchestrator can check it too
    assert int(users[-1]) > 0


def test_all_that_the_image_copies_is_there() -> None:
    sources = re.findall(r"^COPY (\S+) ", DOCKERFILE, re.M)
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert [name for name in sources if f"!{name}" not in let_in] == []


def healthcheck() -> list[str]:
    """The command of the HEALTHCHECK, in its JSON form."""
    return json.loads(re.search(r"HEALTHCHECK.*?CMD (\[.*?\])$", DOCKERFILE, re.S | re.M)[1])


@contextmanager
def server(body: bytes) -> Iterator[int]:
    """A server that answers every path with 200 and one body; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http.server_port
        http.shutdown()


def check_health(port: int) -> int:
    """The exit code of the container's health check, aimed at another port."""
    _, *arguments = [part.replace(":8501", f":{port}") for part in healthcheck()]
    return subprocess.run([sys.executable, *arguments], capture_output=True).returncode


def test_health_is_the_word_ok_and_not_any_page() -> None:
    with server(b"ok") as port:
        assert check_health(port) == 0
    with server(b"<!doctype html><title>Streamlit</title>") as port:
        assert check_health(port) != 0
    assert check_health(port) != 0  # nobody listens any more


def test_the_container_has_one_port() -> None:
    assert "EXPOSE 8501\n" in DOCKERFILE
    assert "127.0.0.1:8501/_stcore/health" in healthcheck()[-1]
