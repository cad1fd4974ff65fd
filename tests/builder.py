"""Builds in processes of their own, to be stopped and killed: forked, so torch is imported once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent

DRIVER = """
import json, os, sys
import featurestore.build, featurestore.workers
from featurestore.__main__ import main
for line in sys.stdin:
    pid, command, log = json.loads(line)
    if pid is None:
        answer = os.fork()
        if answer == 0:
            os.setsid()
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os._exit(main(command))
    else:
        ended, status = os.waitpid(pid, os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if ended else None
    print(json.dumps(answer), flush=True)
"""

LIMIT_S = 60


def wait_until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"nothing happened in {limit_s} s"
        time.sleep(0.02)  # conditions list folders


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Build:
    """A command that runs in a process of its own."""

    def __init__(self, ask: Callable[..., int | None], command: list[str], log: Path) -> None:
        self._ask, self._log = ask, log
        self._code: int | None = None
        log.write_text("")
        self.pid = ask(None, command, str(log))

    @property
    def log(self) -> str:
        """What it printed."""
        return self._log.read_text()

    def code(self) -> int | None:
        """The exit code; None while it runs."""
        if self._code is None:
            self._code = self._ask(self.pid)
        return self._code

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """The exit code, once it has ended."""
        wait_until(lambda: self.code() is not None, limit_s)
        return self._code

    def workers(self) -> list[int]:
        """Its processes that sweep: those that its fork server has forked."""
        servers = [pid for pid in _children(self.pid) if b"forkserver" in _command(pid)]
        return [pid for server in servers for pid in _children(server)]

    def send(self, number: int, to_all: bool = False) -> bool:
        """Send a signal, to its children too if so; whether it was still there to get it."""
        if self.code() is not None:
            return False
        (os.killpg if to_all else os.kill)(self.pid, number)
        return True


class Builder:
    """Starts commands."""

    def __init__(self, process: subprocess.Popen, folder: Path) -> None:
        self._process, self._folder = process, folder
        self._builds: list[Build] = []

    def start(self, *command: object) -> Build:
        """Run a command line of ours."""
        log = self._folder / f"{len(self._builds)}.log"
        self._builds.append(Build(self._ask, list(map(str, command)), log))
        return self._builds[-1]

    def _ask(self, pid: int | None, command: list[str] | None = None, log: str = "") -> int | None:
        self._process.stdin.write(json.dumps([pid, command, log]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Kill what a failed test left."""
        for build in self._builds:
            build.send(signal.SIGKILL, to_all=True)


@contextmanager
def builder(folder: Path) -> Iterator[Builder]:
    """A Builder; its logs go to a folder."""
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        made = Builder(process, folder)
        try:
            yield made
        finally:
            made.end()
            process.stdin.close()
