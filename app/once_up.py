"""What the app does on its own as soon as it answers, while a browser is still on its way."""

import gc
import importlib
import os
import sys
import time
import urllib.request
import webbrowser

FIRST_NEEDED = ("pandas", "PIL.Image", "app.filters", "app.annotations.panels")
"""Loaded by the first page of all: Streamlit asks pandas of whatever a component is given."""

PATIENCE_S = 60.0
"""Until an app that does not answer is given up."""


def once_up(port: int, opens_window: bool) -> None:
    """Open a window if asked to, load what the first page needs, and set all of it aside."""
    if not _answers(port):
        return
    if opens_window and _has_windows():
        webbrowser.open(f"http://127.0.0.1:{port}")
    for name in FIRST_NEEDED:
        importlib.import_module(name)
    set_aside()


def set_aside() -> None:
    """Keep what is loaded for good out of the collection that Streamlit makes after every run."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _answers(port: int) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            with direct.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def _has_windows() -> bool:
    return sys.platform in ("darwin", "win32") or any(
        name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
