"""What a started server lets strangers see and do: headers, settings, errors, nothing to write."""

import http.client
import json
import re
import shutil
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.headers import HEADERS, POLICY
from tests.browser.conftest import ROOT, serve

pytestmark = pytest.mark.browser
LARGE = 10_000
"""Bytes from which Streamlit keeps messages."""


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a file that is cut short, and one whose numbers no page expects."""
    store = shutil.copytree(synthetic_store, tmp_path_factory.mktemp("strange") / "store")
    cut = store / "dictionaries" / "early" / "run1.duckdb"
    cut.write_bytes(cut.read_bytes()[:5000])
    (path,) = (store / "dictionaries" / "planted").glob("*.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("update features set promoted = [99999999] where feature = 2")
    with sqlite3.connect(store / "annotations.sqlite") as connection:
        connection.execute("create table meta (name text, value integer)")
        connection.execute("insert into meta values ('version', 99)")
    return store


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store, "--read-only", has_traces=True)
    log = "".join(one.read_text() for one in store.glob("server-*.log"))
    # What strangers are not told stands here, once, and the code of an error beside its trace.
    assert log.count(f"{store}/dictionaries/early/run1.duckdb cannot be read") == 1
    assert "KeyError: 99999999" in log
    assert "external IP" not in log  # which Streamlit looks up on the web for a foreign origin
    assert re.search(r"The error above was shown as [0-9a-f]{6}\n", log)


class Received(list):
    """All that a page was sent."""

    def keep(self, frame: bytes | str) -> None:
        self.append(frame if isinstance(frame, bytes) else frame.encode())

    def text(self) -> str:
        return b"".join(self).decode("utf-8", "replace")


@pytest.fixture
def visitor(context: BrowserContext) -> tuple[Page, Received]:
    page, received = context.new_page(), Received()
    page.set_default_timeout(15_000)
    page.on("websocket", lambda socket: socket.on("framereceived", received.keep))
    return page, received


def without_places(text: str, store: Path) -> bool:
    """Whether a text names no folder of this machine and no line of a program.

    One thing Streamlit always sends: where the app's own frame stands.
    """
    text = text.replace(str(ROOT / "app" / "main.py"), "")
    signs = (str(store), str(store.parent), str(ROOT), "site-packages", "Traceback", "KeyError")
    return [sign for sign in signs if sign in text] == []


def test_an_error_that_no_page_expects(visitor: tuple[Page, Received], store: Path) -> None:
    page, received = visitor
    page.goto("/feature?dictionary=planted&feature=2")
    expect(page.get_by_text("This page could not be drawn")).to_be_visible()
    assert without_places(received.text(), store)
    page.goto("/feature?dictionary=planted&feature=3")  # it was that feature's alone
    expect(page.locator("h1")).to_contain_text("Feature 3")


@pytest.mark.parametrize("path", ["/", "/annotations", "/map", "/compare", "/search?find=river"])
def test_a_damaged_store(visitor: tuple[Page, Received], store: Path, path: str) -> None:
    page, received = visitor
    for dictionary in ("early", "planted"):
        mark = "&" if "?" in path else "?"
        page.goto(f"{path}{mark}dictionary={dictionary}")
        expect(page.get_by_text("cannot be read").first).to_be_visible()
    page.wait_for_timeout(500)
    assert "run1.duckdb cannot be read" in received.text()
    assert without_places(received.text(), store)


def test_nothing_to_write_with_is_drawn(visitor: tuple[Page, Received]) -> None:
    page, received = visitor
    page.goto("/annotations?dictionary=planted")
    expect(page.get_by_text("open for reading only")).to_be_visible()
    page.goto("/feature?dictionary=planted&feature=3")
    expect(page.get_by_text("This program knows version 1 only")).to_be_visible()
    page.goto("/?dictionary=hostile")
    expect(page.locator("tbody tr").first).to_be_visible()
    expect(page.locator(".fb-tell")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_text("next feature of the list")).to_be_visible()
    for sign in ("feature_browser_editor", "Label these", "fileUploader", "write a label"):
        assert sign not in received.text()
    expect(page.get_by_role("link", name="Live")).to_have_count(0)


# What a server answers, asked without a browser


@pytest.mark.parametrize("path", ["/", "/feature", "/_stcore/health", "/_stcore/host-config"])
def test_every_answer_has_the_headers(server: str, path: str) -> None:
    with urllib.request.urlopen(f"{server}{path}") as answer:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_policy_lets_no_script_of_a_page_s_own_text_run(server: str) -> None:
    scripts = POLICY["script-src"].split()
    assert [one for one in scripts if "unsafe" in one or ":" in one] == ["blob:"]
    assert sum(one.startswith("'sha256-") for one in scripts) >= 1


def test_the_policy_holds_in_a_browser(visitor: tuple[Page, Received]) -> None:
    page, _ = visitor
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto("/?dictionary=hostile")
    expect(page.locator("tbody tr").first).to_be_visible()
    assert "Content Security Policy" not in "".join(refused)
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', "
        '\'<img src="http://other.example/x.png" onerror="window.wasRun = 1">\')'
    )
    page.wait_for_timeout(500)
    told = "".join(refused)
    assert "Loading the image 'http://other.example/x.png' violates" in told
    assert "Executing inline event handler violates" in told
    assert page.evaluate("window.wasRun") is None


def status(server: str, **headers: str) -> int:
    """What a WebSocket of a page's kind is answered; 101 if it opens."""
    host = urlsplit(server).netloc
    try:
        with connect(
            f"ws://{host}/_stcore/stream",
            subprotocols=["streamlit"],
            origin=headers.get("Origin"),
            additional_headers={k: v for k, v in headers.items() if k != "Origin"},
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def test_every_message_is_sent_whole(server: str) -> None:
    """The page may have let go of one that it says it knows, by the time that the answer comes."""
    sizes: dict[str, int] = {}
    address = f"{server.replace('http', 'ws', 1)}/_stcore/stream"
    with connect(address, subprotocols=["streamlit"], max_size=None) as socket:
        for is_again in (False, True):
            request, message = BackMsg(), ForwardMsg()
            request.rerun_script.query_string = "dictionary=hostile"
            request.rerun_script.cached_message_hashes.extend(sizes)
            socket.send(request.SerializeToString())
            while message.WhichOneof("type") != "script_finished":
                message.ParseFromString(socket.recv(timeout=60))
                assert message.WhichOneof("type") != "ref_hash", sizes[message.ref_hash]
                is_known = message.hash in sizes
                sizes[message.hash] = message.ByteSize()
                if is_again and is_known and message.ByteSize() > LARGE:
                    return
    pytest.fail(f"no message of {LARGE} bytes came twice: {sorted(sizes.values())}")


def test_other_sites_open_no_session(server: str) -> None:
    assert status(server, Origin=server) == 101
    assert status(server) == 101  # no browser
    for origin in ("null", "http://127.0.0.1.example.org", "http://localhost", "nonsense"):
        assert status(server, Origin=origin) == 403
        request = urllib.request.Request(f"{server}/_stcore/health", headers={"Origin": origin})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 403
        assert refused.value.headers["X-Frame-Options"] == "DENY"
        refused.value.close()


def test_a_name_that_leads_here_from_elsewhere_is_refused(server: str) -> None:
    found = urlsplit(server)
    connection = http.client.HTTPConnection(found.hostname, found.port)
    upgrade = {
        "Host": "rebound.example.org",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    connection.request("GET", "/_stcore/stream", headers=upgrade)
    assert connection.getresponse().status == 403
    connection.close()


def test_a_file_needs_the_session_s_own_token(server: str) -> None:
    request = urllib.request.Request(f"{server}/_stcore/upload_file/a/b", b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 403
    refused.value.close()
    with urllib.request.urlopen(f"{server}/_stcore/health") as answer:
        assert "SameSite=Strict" in answer.headers["Set-Cookie"]


def test_ways_in_that_no_page_needs_are_shut(server: str) -> None:
    with urllib.request.urlopen(f"{server}/_stcore/agent/openapi.json") as answer:
        said = json.loads(answer.read())
    request = urllib.request.Request(f"{server}/_stcore/agent/interact", b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code in (403, 404, 503), said
    refused.value.close()
