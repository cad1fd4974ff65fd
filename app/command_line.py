"""The command line that the app was started with, and what it lets people do."""

import argparse
import functools
import os
import sys
from pathlib import Path

import streamlit as st

from featurestore.annotations.records import URL_VARIABLE
from featurestore.live.records import MAX_BYTES, MAX_TOKENS

LIVE_REQUESTS = 120
"""That a visitor may make of the models in a minute. A text takes two; the loss of thirty
dictionaries on it, thirty."""

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


def arguments(given: list[str]) -> argparse.Namespace:
    """The command line of the app, after Streamlit's own part."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Open the app on a store.")
    parser.add_argument("store", type=Path, nargs="?", default=Path("store"), help="folder (store)")
    parser.add_argument("--port", type=int, default=8501, help="on this machine (%(default)s)")
    parser.add_argument("--open", action="store_true", help="open a browser window on it")
    parser.add_argument("--read-only", action="store_true", help="let nobody change anything")
    parser.add_argument(
        "--sign-in",
        nargs="?",
        const="*",
        metavar="WHO",
        help="show nothing to whoever has not signed in with one of these e-mail addresses, like "
        "'*@lab.org,ann@uni.edu' (with any, if none is said)",
    )
    parser.add_argument(
        "--annotations",
        metavar="URL",
        default=os.environ.get(URL_VARIABLE),
        help=f"of a Postgres database, or set {URL_VARIABLE} (a SQLite file in the store)",
    )
    parser.add_argument(
        "--live",
        choices=("on", "off"),
        help="run pasted texts through the models: on, or off with --read-only, if not said",
    )
    parser.add_argument(
        "--live-tokens",
        type=int,
        default=MAX_TOKENS,
        metavar="N",
        help="longest text (%(default)s)",
    )
    parser.add_argument(
        "--live-bytes", type=int, default=MAX_BYTES, metavar="N", help="likewise (%(default)s)"
    )
    parser.add_argument(
        "--live-requests",
        type=_count,
        default=LIVE_REQUESTS,
        metavar="N",
        help="a minute and visitor, four times as many for all of them (%(default)s)",
    )
    return parser.parse_args(given)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(f"{value} is below 1")
    return value


def options() -> argparse.Namespace:
    """The command line that the app was started with."""
    return _options(tuple(sys.argv[1:]))


@functools.cache
def _options(given: tuple[str, ...]) -> argparse.Namespace:
    return arguments(list(given))


def is_live() -> bool:
    """Whether texts may be run through the models."""
    given = options()
    return given.live == "on" or (given.live is None and not given.read_only)


def is_read_only() -> bool:
    """Whether nobody may change anything."""
    return options().read_only


def signs_in() -> bool:
    """Whether people have to say who they are."""
    return options().sign_in is not None


def is_for_strangers() -> bool:
    """Whether others may look on than those who may see this machine's files.

    On one's own machine nobody signs in, labels are saved, and the app answers to no other name.
    """
    hosts = st.get_option("server.allowedHosts")
    is_elsewhere = not hosts or not _THIS_MACHINE.issuperset(hosts)
    return is_read_only() or signs_in() or is_elsewhere


def store_folder() -> Path:
    """Where the store stands."""
    return options().store.resolve()
