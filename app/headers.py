"""What every request and answer has to keep: pages load and ask what is the app's own alone.

A token may look like a link or an image. It is escaped everywhere; should one slip through, the
browser itself still asks no other host and runs nothing from there.
"""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers as RequestHeaders
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def _own_scripts() -> str:
    """The scripts that stand in Streamlit's page itself, each by its hash."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()) for one in scripts)
    return " ".join(f"'sha256-{digest.decode()}'" for digest in digests)


POLICY = {
    "default-src": "'self'",
    "script-src": f"'self' {_own_scripts()} blob:",  # components of ours are modules from blobs
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
"""Of the header Content-Security-Policy."""

HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",  # an address may hold a pasted text
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer; a proxy adds what belongs to TLS."""


class Headers:
    """Puts HEADERS on every answer but a WebSocket's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class OwnOrigin:
    """Refuses what a page of another site asks, before Streamlit looks at it.

    Streamlit refuses a session too, but asks the web for this machine's address first, and serves
    nobody while it waits.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] not in ("http", "websocket") or _is_own(RequestHeaders(scope=scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = PlainTextResponse("This is for the app's own pages.", status_code=403)
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})


def _is_own(headers: RequestHeaders) -> bool:
    """Whether no page of another site asks; programs that are no browsers name no origin."""
    origin = headers.get("origin")
    if origin is None or origin in st.get_option("server.corsAllowedOrigins"):
        return True
    return urlsplit(origin).netloc == headers.get("host")
