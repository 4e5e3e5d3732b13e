"""An issuer of tokens with a real key set server that can be rotated, slowed and switched off."""

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://issuer.example/auth/v1"
STARTED_S = int(time.time())
"""One time for all tests: a long run may pass between two readings of the clock."""


class SigningKey:
    """A private key, and its public half as an issuer publishes it."""

    def __init__(self, key_id: str | None, algorithm: str = "ES256", **members: Any) -> None:
        self.key_id, self.algorithm = key_id, algorithm
        self.private: Any = _made(algorithm)
        self.members = members

    def jwk(self) -> dict[str, Any]:
        kind = jwt.get_algorithm_by_name(self.algorithm)
        document: dict[str, Any] = json.loads(kind.to_jwk(self.private.public_key()))
        document.pop("key_ops", None)
        known = {} if self.key_id is None else {"kid": self.key_id}
        return {**document, **known, "alg": self.algorithm, "use": "sig", **self.members}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        named = {} if self.key_id is None else {"kid": self.key_id}
        return jwt.encode(dict(claims), self.private, self.algorithm, headers={**named, **header})

    def sign_raw(self, payload: bytes, header: bytes | None = None) -> str:
        """Sign a payload that no library would write."""
        written = (
            header or json.dumps({"alg": self.algorithm, "kid": self.key_id, "typ": "JWT"}).encode()
        )
        signed = f"{base64url(written)}.{base64url(payload)}"
        signature = jwt.get_algorithm_by_name(self.algorithm).sign(signed.encode(), self.private)
        return f"{signed}.{base64url(signature)}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _made(algorithm: str) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[algorithm])
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def token_claims(student: str = "student-42", **changes: Any) -> dict[str, Any]:
    """Make claims of a student, issued when the tests began."""
    return {
        "sub": student,
        "iss": ISSUER,
        "aud": "authenticated",
        "role": "authenticated",
        "iat": STARTED_S,
        "exp": STARTED_S + 7_200,
        "tenant_id": "school-7",
        **changes,
    }


class KeyServer:
    """Serve a key set on the loopback address.

    Attributes:
        keys: the served keys.
        fetches: number of requests.
        status: status of the answer; other than 200 is an outage.
        body: served unchanged instead of the keys, if set.
        delay_s: delay before each answer, seconds.
    """

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.fetches = 0
        self.status = 200
        self.body: bytes | None = None
        self.headers: dict[str, str] = {}
        self.delay_s = 0.0
        owner = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that the library calls
                owner.fetches += 1
                time.sleep(owner.delay_s)
                body = owner.body
                if body is None:
                    body = json.dumps({"keys": [key.jwk() for key in owner.keys]}).encode()
                try:
                    self.send_response(owner.status)
                    for name, value in owner.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the client has disconnected

            def log_message(self, *_: object) -> None: ...

        self._answer = Answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks.json"

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.status = 503
        try:
            yield
        finally:
            self.status = 200

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
