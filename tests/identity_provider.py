"""A provider of OpenID Connect on this machine: whoever is chosen on its page is signed in.

It checks what a real one checks: the client and its secret, the address to return to, and that who
fetches the token is who asked for the code (PKCE). Tokens are signed with a key made at the start.
"""

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "feature-browser"
SECRET = "the client's secret"


@dataclass
class Provider:
    """A provider that runs."""

    people: dict[str, dict[str, object]]
    """Claims of each person who may be chosen, by name."""
    address: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    codes: dict[str, tuple[dict[str, str], str]] = field(default_factory=dict)
    """What was asked for and who was chosen, by a code that is good once."""
    refusals: list[str] = field(default_factory=list)

    def configuration(self) -> dict[str, object]:
        """What a client asks first."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "end_session_endpoint": f"{self.address}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def choice(self, asked: dict[str, str]) -> str:
        """A page with a link for each person."""
        links = ""
        for name in self.people:
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked, name
            query = urlencode({"code": code, "state": asked["state"]})
            target = html.escape(f"{asked['redirect_uri']}?{query}")
            links += f'<p><a href="{target}">{html.escape(name)}</a>'
        return f"<title>Provider</title>{links}"

    def token(self, given: dict[str, str], authorization: str) -> dict[str, object] | None:
        """What a code is worth; None, with the reason noted, if that is nothing."""
        asked, name = self.codes.pop(given.get("code", ""), ({}, ""))
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        checks = {
            "code": bool(name),
            "client": authorization == f"Basic {basic}" and asked.get("client_id") == CLIENT,
            "redirect_uri": given.get("redirect_uri") == asked.get("redirect_uri"),
            "code_verifier": challenge == asked.get("code_challenge"),
        }
        self.refusals += [check for check, is_met in checks.items() if not is_met]
        if not all(checks.values()):
            return None
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "sub": name, "iat": now, "exp": now + 300}
        claims |= {"nonce": asked["nonce"], **self.people[name]}
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": signed}


@contextmanager
def identity_provider(people: dict[str, dict[str, object]]) -> Iterator[Provider]:
    """A provider that knows some people, on a free port."""
    provider = Provider(people)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/.well-known/openid-configuration":
                self.answer(json.dumps(provider.configuration()), "application/json")
            elif url.path == "/keys":
                keys = {"keys": [provider.key.as_dict(private=False)]}
                self.answer(json.dumps(keys), "application/json")
            elif url.path == "/authorize":
                self.answer(provider.choice(asked), "text/html")
            elif url.path != "/logout":
                self.answer("no such page", "text/plain", False)
            else:
                self.send_response(302)
                self.send_header("Location", asked["post_logout_redirect_uri"])
                self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            given = {name: values[0] for name, values in parse_qs(body).items()}
            found = provider.token(given, self.headers.get("Authorization", ""))
            self.answer(json.dumps(found or {"error": "invalid_grant"}), "application/json", found)

        def answer(self, body: str, kind: str, is_well: object = True) -> None:
            self.send_response(200 if is_well else 400)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield provider
        server.shutdown()
