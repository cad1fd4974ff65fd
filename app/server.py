"""The app as a server, which `streamlit run` finds in this file: `python -m app` hands it over."""

import sys
from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from app import command_line, people
from app.failures import on_script_error
from app.headers import Headers, OwnOrigin
from featurestore.errors import BadInput

try:  # only now has Streamlit read where the provider's settings stand
    if command_line.signs_in():
        people.check_settings()
except BadInput as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(error.exit_code)

served = App(
    Path(__file__).with_name("main.py"),
    middleware=[Middleware(Headers), Middleware(OwnOrigin)],
    on_script_error=on_script_error,
)
