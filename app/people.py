"""Who is here and what they may do: the one place that decides whether anything is saved.

Without sign-in a name is what people type. With it (`--sign-in`), a provider of OpenID Connect
vouches for an e-mail address, nobody else is let in, and that address is the name.
"""

import fnmatch
import importlib.util

import streamlit as st

from app import command_line, markup
from featurestore.errors import AnnotationsError, BadInput

LEAST_SECRET = 32
"""Characters of the secret that signs cookies; whoever guesses it is whoever they like."""

_NEEDED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")


def check_settings() -> None:
    """Say before anything is served why nobody could sign in.

    Raises:
        BadInput: a setting of the provider, or the library that talks to it, is missing, or the
            secret is short.
    """
    if importlib.util.find_spec("authlib") is None:
        raise BadInput("--sign-in needs Authlib: pip install -r requirements.txt")
    given = st.secrets.get("auth", {}) if st.secrets.load_if_toml_exists() else {}
    missing = [name for name in _NEEDED if not given.get(name)]
    if missing:
        raise BadInput(
            f"--sign-in needs {', '.join(missing)} under [auth] in .streamlit/secrets.toml, or in "
            "the file that STREAMLIT_SECRETS_FILES names. docs/serving.md shows one."
        )
    if len(given["cookie_secret"]) < LEAST_SECRET:
        raise BadInput(
            f"cookie_secret under [auth] has fewer than {LEAST_SECRET} characters. Make one: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )


def are_let_in() -> bool:
    """Whether whoever is here may see anything."""
    return not command_line.signs_in() or person() is not None


def author(typed: str) -> str:
    """Whom something that is saved now is by.

    Raises:
        AnnotationsError: nothing may be saved by whoever is here.
    """
    check_may_write()
    return person() if command_line.signs_in() else typed


def check_may_write() -> None:
    """Refuse to change anything for whoever may not.

    Raises:
        AnnotationsError: the app is open for reading only, or nobody is signed in who is let in.
    """
    if command_line.is_read_only():
        raise AnnotationsError("This app is open for reading only: nothing can be saved.")
    if not are_let_in():
        raise AnnotationsError("You are not signed in, so nothing was saved. Load the page again.")


def person() -> str | None:
    """The address of whoever is signed in and let in; None if nobody is."""
    address = _address()
    return address if address and is_let_in(address, command_line.options().sign_in) else None


def _address() -> str | None:
    """The address that the provider vouches for."""
    if not command_line.signs_in() or not st.user.get("is_logged_in"):
        return None
    is_vouched_for = st.user.get("email_verified") is not False  # some providers never say
    address = st.user.get("email")
    return address if is_vouched_for and isinstance(address, str) and address else None


def is_let_in(address: str, who: str) -> bool:
    """Whether one of some patterns, with commas between them, fits an address."""
    patterns = [one.strip().lower() for one in who.split(",")]
    return any(fnmatch.fnmatchcase(address.lower(), one) for one in patterns)


def door() -> None:
    """Let nobody in but those who may be: for others the page ends with a way to sign in."""
    if are_let_in():
        return
    st.html(markup.heading("Feature Browser", "for those who are signed in"))
    if st.user.get("is_logged_in"):
        address = _address()
        reason = f"'{address}' is not let in here" if address else "Your provider vouches for none"
        st.html(markup.note(f"{reason}. Sign in with another address.", "error"))
        st.button("Sign out", on_click=st.logout, type="primary", key="sign_out")
    else:
        st.button("Sign in", on_click=st.login, type="primary", key="sign_in")
    st.stop()


def name_tag() -> None:
    """Who is signed in, and the way out; nothing where nobody signs in."""
    if not command_line.signs_in():
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="person"):
        st.html(markup.line([f"Signed in as {person()}"]), width="content")
        st.button("Sign out", on_click=st.logout, type="tertiary", key="sign_out")
