"""Who gives keys to a process on AWS: a security token service, and the agent of EKS Pod Identity.

Neither can be had here. These stand for them as their documents say, and refuse whatever those would refuse.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from mediabucket_cli.embedded.ports import LOOPBACK

ROLE = "arn:aws:iam::111122223333:role/mediabucket"
HOUR = timedelta(hours=1)


@dataclass
class Giver:
    """What it gives out, to whom, and how often it did."""

    access_key_id: str
    secret_access_key: str
    token_file: Path
    session_token: str = ""
    lifetime: timedelta = HOUR
    refuses: bool = False
    given: int = 0
    url: str = ""
    problems: list[str] = field(default_factory=list)

    def ends(self) -> str:
        return f"{datetime.now(UTC) + self.lifetime:%Y-%m-%dT%H:%M:%SZ}"

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.problems.append(f"{what} is {found!r}, expected {wanted!r}")


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests read what they need from the giver."""

    def respond(self, status: int, content_type: str, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@contextmanager
def security_token_service(giver: Giver) -> Iterator[Giver]:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"""

    class Handler(_Handler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            giver.expect("Action", form["Action"], ["AssumeRoleWithWebIdentity"])
            giver.expect("Version", form["Version"], ["2011-06-15"])
            giver.expect("RoleArn", form["RoleArn"], [ROLE])
            giver.expect("WebIdentityToken", form["WebIdentityToken"], [giver.token_file.read_text()])
            # Who has no keys yet cannot sign.
            giver.expect("Authorization", self.headers["Authorization"], None)
            if giver.refuses or giver.problems:
                error = "<Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>no trust</Message></Error>"
                self.respond(400, "text/xml", f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>")
                return
            giver.given += 1
            keys = (
                f"<AccessKeyId>{giver.access_key_id}</AccessKeyId>"
                f"<SecretAccessKey>{giver.secret_access_key}</SecretAccessKey>"
                f"<SessionToken>{giver.session_token}</SessionToken><Expiration>{giver.ends()}</Expiration>"
            )
            result = f"<AssumeRoleWithWebIdentityResult><Credentials>{keys}</Credentials>"
            result += "</AssumeRoleWithWebIdentityResult>"
            name = "AssumeRoleWithWebIdentityResponse"
            space = "https://sts.amazonaws.com/doc/2011-06-15/"
            self.respond(200, "text/xml", f'<{name} xmlns="{space}">{result}</{name}>')

    with _serving(giver, Handler):
        yield giver


@contextmanager
def pod_identity_agent(giver: Giver) -> Iterator[Giver]:
    """https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html"""

    class Handler(_Handler):
        def do_GET(self) -> None:
            giver.expect("path", urlsplit(self.path).path, "/v1/credentials")
            giver.expect("Authorization", self.headers["Authorization"], giver.token_file.read_text())
            if giver.refuses or giver.problems:
                self.respond(400, "text/plain", "invalid parameter")
                return
            giver.given += 1
            keys = {
                "AccessKeyId": giver.access_key_id,
                "SecretAccessKey": giver.secret_access_key,
                "Token": giver.session_token,
                "Expiration": giver.ends(),
                "AccountId": "111122223333",
            }
            self.respond(200, "application/json", json.dumps(keys))

    with _serving(giver, Handler):
        yield giver


def irsa(giver: Giver) -> dict[str, str]:
    """What EKS puts into the environment of a Pod whose ServiceAccount has a role."""
    return {
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(giver.token_file),
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        # And this is the test's.
        "AWS_ENDPOINT_URL_STS": giver.url,
    }


def pod_identity(giver: Giver) -> dict[str, str]:
    """What EKS puts into the environment of a Pod with a Pod Identity association."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{giver.url}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(giver.token_file),
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }


@contextmanager
def _serving(giver: Giver, handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[None]:
    server = ThreadingHTTPServer((LOOPBACK, 0), handler)
    giver.url = f"http://{LOOPBACK}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
