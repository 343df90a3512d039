"""Free ports on loopback. Nobody reserves a port: whoever uses one must be ready to try another."""

import json
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"
_HIGHEST = 65_535


def bound_socket(port: int = 0) -> socket.socket:
    """A socket bound to a loopback port, 0 for any free one. Raises OSError when the port is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Connections of an earlier run that linger in TIME_WAIT do not count.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # For the connections it will accept: uvicorn takes an inherited socket for a local one and leaves Nagle's
        # algorithm on, which makes every answer wait 40 ms for the client's acknowledgement.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((LOOPBACK, port))
    except OSError:
        bound.close()
        raise
    return bound


def free_ports(names: Sequence[str]) -> dict[str, int]:
    """A different free port for each name."""
    with ExitStack() as held:
        return {name: held.enter_context(bound_socket()).getsockname()[1] for name in names}


def free_port_with(offset: int) -> int:
    """A free port whose neighbour `offset` further on is free as well."""
    while True:
        with bound_socket() as bound, suppress(OSError, OverflowError):
            port: int = bound.getsockname()[1]
            if port + offset <= _HIGHEST:
                bound_socket(port + offset).close()
                return port


def remembered_ports(file: Path, names: Sequence[str]) -> dict[str, int] | None:
    """The ports that `remember_ports` wrote, if they are those of the names and still free."""
    try:
        ports: dict[str, int] = json.loads(file.read_text())
        with ExitStack() as held:
            for name in names:
                held.enter_context(bound_socket(ports[name]))
    except (OSError, ValueError, KeyError):
        return None
    return ports


def remember_ports(file: Path, ports: dict[str, int]) -> None:
    file.write_text(json.dumps(ports))
