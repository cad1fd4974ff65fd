"""`python -m app STORE [--port 8501] [--read-only] [--sign-in] [--open]`: serve a store."""

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from featurestore.errors import FeatureStoreError, not_installed

try:
    import click
    from streamlit.web import cli

    from app import command_line, session
    from app.once_up import once_up
    from featurestore.annotations.records import URL_VARIABLE
except ModuleNotFoundError as error:
    sys.stderr.write(f"{not_installed(error)}\n")
    sys.exit(2)

ROOT = Path(__file__).parent.parent
SERVER = ROOT / "app" / "server.py"


def main(given: list[str]) -> int:
    """Check that there is a store, then hand over to Streamlit; the exit code."""
    options = command_line.arguments(given)
    try:
        session.check(options.store)
    except FeatureStoreError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    own = _for_the_script(options)
    if options.annotations:  # by the environment, since it may hold a password
        os.environ[URL_VARIABLE] = _from_anywhere(options.annotations)
    threading.Thread(target=once_up, args=(options.port, options.open), daemon=True).start()
    # Nothing that a user pastes is logged, and addresses hold it.
    logging.getLogger("uvicorn.access").disabled = True
    os.chdir(ROOT)  # Streamlit takes .streamlit/ from the current folder
    flags = ["--server.port", str(options.port)]
    command = ["run", str(SERVER), *flags, "--", *own]
    try:
        cli.main(command, prog_name="streamlit", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        pass
    _end_by(signal.SIGINT)  # also where it was told to ignore it: the server is down
    return 0


def _end_by(number: signal.Signals) -> None:
    """End as the signal does where nobody catches it: the models have nothing left to tidy up."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _for_the_script(options: argparse.Namespace) -> list[str]:
    """The options that the pages read."""
    given = [str(options.store.resolve()), *(["--read-only"] if options.read_only else [])]
    for name in ("sign_in", "live", "live_tokens", "live_bytes", "live_requests"):
        value = getattr(options, name)
        given += [f"--{name.replace('_', '-')}={value}"] if value is not None else []
    return given


def _from_anywhere(url: str) -> str:
    """An address that holds in every folder: that of a SQLite file may be relative."""
    path = url.removeprefix("sqlite:///")
    return url if path == url else f"sqlite:///{Path(path).resolve()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
