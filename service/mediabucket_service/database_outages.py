"""A database that is away: refused connections, connections that broke unnoticed, a server that accepts and is silent.

A frozen server is the worst: its kernel acknowledges what is sent, so that no timeout of TCP helps, and psycopg waits
ten seconds more when it is told to stop waiting. Cutting the connection ends every wait on it at once.
"""

import asyncio
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

# How many requests at a time find out whether a silent database is back; the others are refused at once.
PROBES: Final = 2


class DatabaseSilent(psycopg.OperationalError):
    """The database accepted a statement and did not answer it in time, or did so with the last one."""


class Patience:
    """Decides who may wait for the database.

    All may, until somebody has waited in vain. From then on PROBES at a time, until one of them has an answer.
    """

    def __init__(self) -> None:
        self._disappointed = False
        self._waiting = 0

    @contextmanager
    def attempt(self) -> Iterator[bool]:
        """Encloses all waiting; yields whether an answer is to be expected. Raises DatabaseSilent."""
        if self._disappointed and self._waiting >= PROBES:
            raise DatabaseSilent("the database did not answer the last requests in time")
        self._waiting += 1
        try:
            yield not self._disappointed
        except (PoolTimeout, DatabaseSilent):
            self._disappointed = True
            raise
        except psycopg.OperationalError:
            # A connection that breaks says nothing about the next one.
            raise
        except psycopg.Error:
            self._disappointed = False
            raise
        else:
            self._disappointed = False
        finally:
            self._waiting -= 1


def hung_up(connection: AsyncConnection[Any]) -> bool:
    """Whether the other side has ended an idle connection, without asking it: nothing else makes it readable.

    A false alarm, as after a change of the server's settings, costs one new connection.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def severed_after(connection: AsyncConnection[Any], seconds: float) -> Iterator[None]:
    """End the connection unless the block is done in time. Raises DatabaseSilent then, whatever the block raised."""
    severed = False

    def sever() -> None:
        nonlocal severed
        severed = True
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as shared:
            shared.shutdown(socket.SHUT_RDWR)

    handle = asyncio.get_running_loop().call_later(max(0.0, seconds), sever)
    try:
        yield
    except psycopg.Error as error:
        if severed:
            raise DatabaseSilent("the database did not answer in time") from error
        raise
    finally:
        handle.cancel()
