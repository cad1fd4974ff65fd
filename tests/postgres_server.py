"""A PostgreSQL server of the tests' own, on loopback, and databases on it."""

import glob
import itertools
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

_NUMBERS = itertools.count()


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start one, and give its address without a database's name.

    Where none is installed, skip; but fail in CI.
    """
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) or [shutil.which("initdb")]
    if not programs[-1] or not shutil.which("setpriv"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "no PostgreSQL server is installed: apt-get install postgresql"
        )
    folder = Path(tempfile.mkdtemp(prefix="annotations-", dir="/tmp"))
    # The server refuses to run as root; and it is told to stop if the tests are killed.
    run = ["setpriv", "--pdeathsig=INT"]
    if os.geteuid() == 0:
        run += ["--reuid=postgres", "--regid=postgres", "--init-groups"]
        shutil.chown(folder, "postgres")
    password = secrets.token_hex(8)
    secret = folder / "password"
    secret.write_text(password)
    if os.geteuid() == 0:
        os.chown(secret, pwd.getpwnam("postgres").pw_uid, -1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tools, data = Path(programs[-1]).parent, folder / "data"
    create = [*run, tools / "initdb", "-D", data, "-U", "tester", "--auth=scram-sha-256"]
    create += [f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    subprocess.run(create, check=True, capture_output=True, cwd="/")
    start = [*run, tools / "postgres", "-D", data, "-p", str(port), "-k", folder]
    start += ["-c", "listen_addresses=127.0.0.1"]
    start += ["-c", "fsync=off"]  # tests kill programs, not the machine
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(start, stderr=log, cwd="/") as process,
    ):
        url = f"postgresql://tester:{password}@127.0.0.1:{port}"
        _wait_for(url, folder / "log")
        yield url
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    shutil.rmtree(folder)


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The address of a database on a server that nothing was saved in; dropped at the end."""
    name = f"notes_{next(_NUMBERS)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
        yield f"{server}/{name}"
        connection.execute(f"drop database {name} with (force)")


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(f"{url}/postgres").close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
