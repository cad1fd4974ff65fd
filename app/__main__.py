"""`python -m app STORE [--port 8501] [--read-only]`: open the app on a store."""

import os
import sys
from pathlib import Path

from streamlit.web import cli

from app import session
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
    own = [str(options.store.resolve()), *(["--read-only"] if options.read_only else [])]
    os.chdir(ROOT)  # Streamlit takes .streamlit/config.toml from the current folder
    flags = ["--server.port", str(options.port)]
    cli.main(["run", str(MAIN), *flags, "--", *own], prog_name="streamlit")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
