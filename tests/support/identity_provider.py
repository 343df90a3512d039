"""An identity provider as a service meets it: public keys at a URL, and tokens that no library would make."""

import base64
import hmac
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from upload_client import JWT_SECRET


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _signing_input(header: object, payload: object) -> str:
    return f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(payload).encode())}"


def forged(header: object, payload: object, key: bytes = JWT_SECRET.encode()) -> str:
    """A token that no library would make, with a true HMAC-SHA256 over it."""
    text = _signing_input(header, payload)
    return f"{text}.{encoded(hmac.digest(key, text.encode(), 'sha256'))}"


def forged_by_owner(header: object, payload: object, key: rsa.RSAPrivateKey) -> str:
    """A token that no library would make, with a true RSASSA-PKCS1-v1_5 SHA-256 signature over it."""
    text = _signing_input(header, payload)
    return f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def public_jwk(algorithm: Any, private_key: Any, kid: str, **members: str) -> dict[str, Any]:
    jwk: dict[str, Any] = algorithm.to_jwk(private_key.public_key(), as_dict=True)
    return jwk | {"kid": kid} | members


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass
class IdentityProvider:
    """Serves `answer` at `url` and counts how often it was asked."""

    answer: bytes = b""
    status: int = 200
    asked: int = 0
    keys: list[dict[str, Any]] = field(default_factory=list)

    def start(self) -> None:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                body = provider.answer or json.dumps({"keys": provider.keys}).encode()
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
