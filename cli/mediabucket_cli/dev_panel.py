"""What `mediabucket dev` shows a person, and writes for a program, once it serves."""

import hashlib
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from mediabucket_cli.development_platform import DevelopmentPlatform
from mediabucket_cli.embedded.private_files import write_private_file

USER = "developer"
_HELLO = b"hello"


def print_panel(console: Console, platform: DevelopmentPlatform) -> None:
    """Long lines are left to the terminal: what is copied from it must not be broken or framed."""
    rows = {
        "API": platform.api_url,
        "page": f"{platform.api_url}/#token={_token(platform)}",
        "docs": f"{platform.api_url}/docs",
        "S3": platform.connection.store.endpoint,
        "bucket": platform.connection.bucket,
        "data": str(platform.data.path),
        "user": USER,
        "token": _token(platform),
    }
    console.print(Rule("mediabucket dev", style="green"))
    for name, value in rows.items():
        console.print(Text.assemble((f"{name:<8}", "bold"), value), soft_wrap=True)
    for hardship in platform.hardships.told():
        console.print(Text.assemble((f"{'hard':<8}", "bold yellow"), hardship), soft_wrap=True)
    console.print(Text("\nannounce an upload:", style="bold"))
    console.print(Text(curl_line(platform)), soft_wrap=True)
    console.print(Rule("Ctrl-C stops everything and keeps the data", style="green"))


def curl_line(platform: DevelopmentPlatform) -> str:
    """A command for a shell that initiates an upload of five bytes."""
    body = {
        "file_name": "hello",
        "file_size": len(_HELLO),
        "mime_type": platform.resource.spec.uploads.allowed_mime_types[0],
        "checksum": hashlib.sha256(_HELLO).hexdigest(),
    }
    headers = (f"Authorization: Bearer {_token(platform)}", "Content-Type: application/json")
    options = "".join(f" \\\n  -H '{header}'" for header in headers)
    return f"curl {platform.api_url}/api/media/upload/initiate{options} \\\n  -d '{json.dumps(body)}'"


def write_ready_file(path: Path, platform: DevelopmentPlatform) -> None:
    """At once and for the owner only: it holds every secret of the platform."""
    write_private_file(path, json.dumps(_ready(platform), indent=2) + "\n")


def _ready(platform: DevelopmentPlatform) -> dict[str, Any]:
    store = platform.connection.store
    return {
        "api_url": platform.api_url,
        "token": _token(platform),
        "s3_endpoint": store.endpoint,
        "bucket": platform.connection.bucket,
        "region": store.region,
        "access_key_id": store.access_key_id,
        "secret_access_key": store.secret_access_key.get_secret_value(),
        "database_url": platform.database_url,
        "jwt_secret": platform.jwt_secret,
        "service_pid": platform.service.process_id,
        "manifest": str(platform.manifest_file.absolute()),
    }


def _token(platform: DevelopmentPlatform) -> str:
    jwks_url = platform.resource.spec.service.auth.jwks_url
    return platform.token(USER) if jwks_url is None else f"<a token from the owner of {jwks_url}>"
