"""Migrations beside a service that goes on working: nobody waits for them for longer than LOCK_TIMEOUT_MILLISECONDS.

ALTER TABLE wants a lock that excludes everybody. While it waits for that, whoever comes after it waits behind it, even
for a lock that it would get otherwise: one forgotten transaction would stop the service. So it gives up soon, lets
those behind it pass, and tries again.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from alembic import op
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError

logger = logging.getLogger(__name__)

LOCK_TIMEOUT_MILLISECONDS: Final = 500
# Afterwards the process fails, and whoever started it starts it again.
PATIENCE_SECONDS: Final = 600.0
_PAUSE_SECONDS: Final = 1.0

SET_LOCK_TIMEOUT: Final = f"SET lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}"


def until_unlocked(migrate: Callable[[], None], patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Run `migrate`, again and again while it meets a lock; whatever it did not commit must be undone by then.

    Raises sqlalchemy.exc.OperationalError when the lock is still held after `patience_seconds`.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return migrate()
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable) or time.monotonic() > deadline:
                raise
            logger.warning("a transaction holds a lock that the migration needs; trying again: %s", error.orig)
        # At other times than somebody who tries as often.
        time.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))


@contextmanager
def beside_writers() -> Iterator[None]:
    """For statements that are CONCURRENTLY: outside of a transaction, and waiting for as long as it takes.

    They wait for old transactions without holding anybody up, and each try would begin from nothing. What is done
    before this block is committed: the migration must bear being repeated from its start.
    """
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            op.execute(SET_LOCK_TIMEOUT)
