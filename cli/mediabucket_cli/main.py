"""The `mediabucket` command: its subcommands, and how their failures are told."""

import sys

import typer
from rich.console import Console
from rich.text import Text

from mediabucket_api.problems import ManifestInvalid
from mediabucket_cli.apply import apply
from mediabucket_cli.audit import audit
from mediabucket_cli.demo import demo
from mediabucket_cli.dev import dev
from mediabucket_cli.embedded.locks import DirectoryInUse
from mediabucket_cli.embedded.processes import ServerFailed
from mediabucket_cli.errors import CommandFailed, sentence
from mediabucket_cli.plan import plan
from mediabucket_cli.probe import probe
from mediabucket_cli.token import token
from mediabucket_cli.upload import upload
from mediabucket_s3.errors import S3Error

EXPECTED_FAILURES = (CommandFailed, DirectoryInUse, ManifestInvalid, S3Error, ServerFailed)

app = typer.Typer(
    help="Direct-to-store media uploads: one manifest sets up the bucket and the upload API in front of it.\n\n"
    "Example: mediabucket dev -f examples/chat-media.yaml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (dev, demo, plan, apply, upload, probe, audit, token):
    # All of the first sentence: Typer would cut it.
    app.command(short_help=(command.__doc__ or "").partition("\n")[0])(command)


def main() -> None:
    try:
        app()
    except EXPECTED_FAILURES as error:
        Console(stderr=True).print(Text.assemble(("error: ", "bold red"), (sentence(error), "red")), soft_wrap=True)
        sys.exit(1)
