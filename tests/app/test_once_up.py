import gc
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app import once_up


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_stcore/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    monkeypatch.setattr(once_up, "FIRST_NEEDED", ("loaded_once_up",))
    return found


def test_what_the_first_page_needs_is_loaded_and_a_window_opened(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "loaded_once_up.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # the way out of some networks
    monkeypatch.delenv("no_proxy", raising=False)
    with answering() as port:
        once_up.once_up(port, opens_window=True)
    assert opened == [f"http://127.0.0.1:{port}"]
    assert sys.modules.pop("loaded_once_up").__file__ == str(tmp_path / "loaded_once_up.py")


def test_what_is_loaded_is_not_collected_again(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once_up, "FIRST_NEEDED", ())
    loaded: list[object] = []
    with answering() as port:
        once_up.once_up(port, opens_window=False)
    later: list[object] = []
    seen = {id(one) for one in gc.get_objects()}
    assert id(loaded) not in seen and id(later) in seen


def test_no_window_where_there_are_none(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once_up, "FIRST_NEEDED", ())
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with answering() as port:
        once_up.once_up(port, opens_window=True)
    assert opened == []


def test_nothing_is_loaded_for_an_app_that_never_answers(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering() as port:
        pass
    monkeypatch.setattr(once_up, "PATIENCE_S", 0.3)
    once_up.once_up(port, opens_window=True)  # loading would raise: there is no such module
    assert opened == []


def test_what_is_loaded_exists() -> None:
    for name in once_up.FIRST_NEEDED:
        __import__(name)
