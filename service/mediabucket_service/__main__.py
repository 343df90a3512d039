"""`python -m mediabucket_service`: serve uploads until SIGTERM, as the environment configures it."""

import argparse
import gc
import signal
import sys
from typing import NoReturn


def main() -> None:
    # First of all: as process 1 of a container it would be deaf to SIGTERM while it imports and starts.
    signal.signal(signal.SIGTERM, _leave)
    arguments = _parser().parse_args()
    # Imports make many objects and no garbage: to look for it again and again takes a fifth of the start.
    gc.disable()
    from mediabucket_service.main import app, settings
    from mediabucket_service.shutdown import DrainingServer

    gc.enable()
    server = DrainingServer(app, settings, host=arguments.host, port=arguments.port, descriptor=arguments.fd)
    server.run_until_told()


def _leave(*_: object) -> NoReturn:
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mediabucket_service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on, 0 for any free one")
    parser.add_argument("--fd", type=int, help="the descriptor of a socket that listens already")
    return parser


main()
