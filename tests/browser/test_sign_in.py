"""People sign in with a provider of OpenID Connect, and what they label is by them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import serve
from tests.identity_provider import CLIENT, SECRET, Provider, identity_provider

pytestmark = pytest.mark.browser
ANN, EVE, UNSURE = "ann@lab.example", "eve@elsewhere.example", "unsure@lab.example"
PEOPLE = {
    "Ann": {"email": ANN, "email_verified": True},
    "Eve": {"email": EVE, "email_verified": True},
    "Unsure": {"email": UNSURE, "email_verified": False},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with identity_provider(PEOPLE) as found:
        yield found
    assert found.refusals == []


@pytest.fixture(scope="module")
def server(
    provider: Provider, store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    secrets = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    secrets.write_text(
        f"""
        [auth]
        redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
        cookie_secret = "{"c" * 32}"
        client_id = "{CLIENT}"
        client_secret = "{SECRET}"
        server_metadata_url = "{provider.address}/.well-known/openid-configuration"
        """
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("STREAMLIT_SECRETS_FILES", str(secrets))
        yield from serve(store, "--sign-in=*@lab.example")


@pytest.fixture
def visitor(browser: Browser, server: str) -> Iterator[Page]:
    """A tab of somebody who has never been here."""
    context = browser.new_context(base_url=server, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def sign_in(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=name).click()


def test_whoever_is_signed_in_is_the_author(visitor: Page, store: Path) -> None:
    sign_in(visitor, "Ann")
    expect(visitor.locator("tbody tr").first).to_be_visible()
    visitor.goto("/feature?dictionary=planted&feature=7")  # a new session, the same browser
    author = visitor.locator(".editor [name=author]")
    expect(author).to_have_value(ANN)
    expect(author).not_to_be_editable()
    visitor.keyboard.press("1")
    visitor.locator(".editor [name=label]").fill("rivers")
    author.evaluate("box => { box.value = 'The boss'; }")  # whatever the browser may send
    visitor.keyboard.press("Shift+Enter")
    expect(visitor.locator(".editor .state")).to_contain_text(f"{ANN}, just now")
    with sqlite3.connect(store / "annotations.sqlite") as connection:
        found = connection.execute("select feature, author, label from events").fetchall()
    assert found == [(7, ANN, "rivers")]

    visitor.goto("/annotations?dictionary=planted")
    expect(visitor.get_by_text(f"Signed in as {ANN}")).to_be_visible()
    visitor.get_by_role("button", name="Sign out").click()
    expect(visitor.get_by_role("button", name="Sign in")).to_be_visible()
    visitor.goto("/feature?dictionary=planted&feature=7")
    expect(visitor.get_by_role("button", name="Sign in")).to_be_visible()


def test_nothing_is_shown_before(visitor: Page) -> None:
    seen: list[bytes] = []

    def keep(frame: bytes | str) -> None:
        seen.append(frame if isinstance(frame, bytes) else frame.encode())

    visitor.on("websocket", lambda socket: socket.on("framereceived", keep))
    for path in ("/", "/feature?dictionary=planted&feature=7", "/map", "/annotations", "/live"):
        seen.clear()
        visitor.goto(path)
        expect(visitor.get_by_role("button", name="Sign in")).to_be_visible()
        sent = b"".join(seen)
        assert b"Sign in" in sent
        assert b"planted" not in sent and b"river" not in sent


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Eve", f"'{EVE}' is not let in here"), ("Unsure", "Your provider vouches for none")],
)
def test_others_stay_outside(visitor: Page, name: str, reason: str) -> None:
    sign_in(visitor, name)
    expect(visitor.get_by_text(reason)).to_be_visible()
    expect(visitor.get_by_text("features", exact=False)).to_have_count(0)
    visitor.get_by_role("button", name="Sign out").click()
    expect(visitor.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_cookie_that_nobody_signed_is_worth_nothing(visitor: Page, server: str) -> None:
    value = f'{{"email": "{ANN}", "is_logged_in": true, "origin": "{server}"}}'
    visitor.context.add_cookies(
        [{"name": "_streamlit_user", "value": value.replace('"', "'"), "url": server}]
    )
    visitor.goto("/")
    expect(visitor.get_by_role("button", name="Sign in")).to_be_visible()
