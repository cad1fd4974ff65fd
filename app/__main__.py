"""`python -m app STORE [--port 8501] [--read-only] [--open]`: serve the app on a store."""

import argparse
import logging
import os
import sys
import threading
from pathlib import Path

from streamlit.web import cli

from app import session
from app.once_up import once_up
from featurestore.annotations.records import URL_VARIABLE
from featurestore.errors import FeatureStoreError

ROOT = Path(__file__).parent.parent
MAIN = ROOT / "app" / "main.py"


def main(given: list[str]) -> int:
    """Check that there is a store, then hand over to Streamlit; the exit code."""
    options = session.arguments(given)
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
    os.chdir(ROOT)  # Streamlit takes .streamlit/config.toml from the current folder
    flags = ["--server.port", str(options.port)]
    cli.main(["run", str(MAIN), *flags, "--", *own], prog_name="streamlit")
    return 0


def _for_the_script(options: argparse.Namespace) -> list[str]:
    """The options that the pages read."""
    given = [str(options.store.resolve()), *(["--read-only"] if options.read_only else [])]
    for name in ("live", "live_tokens", "live_bytes"):
        value = getattr(options, name)
        given += [f"--{name.replace('_', '-')}", str(value)] if value is not None else []
    return given


def _from_anywhere(url: str) -> str:
    """An address that holds in every folder: that of a SQLite file may be relative."""
    path = url.removeprefix("sqlite:///")
    return url if path == url else f"sqlite:///{Path(path).resolve()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
