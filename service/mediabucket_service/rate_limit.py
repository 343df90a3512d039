"""How many calls a user may make: the generic cell rate algorithm (ITU-T I.371), in one row of PostgreSQL a user.

`full_at` is when a user's allowance is whole again. Each call moves it by one interval; a call that would move it
further than the burst ahead of the clock is refused. All replicas share the row, and no clock but the database's
counts. When the row is lost its user begins with the whole allowance.
"""

import math
from datetime import timedelta
from typing import Final

from mediabucket_service.database import Database
from mediabucket_service.problems import TooManyRequests

MINUTE: Final = timedelta(minutes=1)
# Of a minute's calls those that may come at once.
BURST_FRACTION: Final = 10
KEPT_WHEN_FULL: Final = timedelta(hours=1)

# A refused call updates nothing, so nothing is returned for it. The time is that at which the row is had: of calls at
# once one may have begun before, and waited for, another that has moved it; it would be refused for having been first.
_ADMIT = """
INSERT INTO rate_limits (bucket, user_id, full_at)
VALUES (%(bucket)s, %(user_id)s, clock_timestamp() + %(interval)s)
ON CONFLICT (bucket, user_id) DO UPDATE SET full_at = greatest(rate_limits.full_at, clock_timestamp()) + %(interval)s
WHERE greatest(rate_limits.full_at, clock_timestamp()) + %(interval)s - clock_timestamp() <= %(burst)s
RETURNING full_at
"""

_WAIT = """
SELECT extract(epoch FROM full_at + %(interval)s - now() - %(burst)s)::float8 AS seconds
FROM rate_limits WHERE bucket = %(bucket)s AND user_id = %(user_id)s
"""

_FORGET = "DELETE FROM rate_limits WHERE bucket = %(bucket)s AND full_at < now() - %(kept)s"


class RateLimiter:
    """Admits calls of one bucket's users. Raises what psycopg raises when the database does not answer."""

    def __init__(self, database: Database, bucket: str, requests_per_minute: int) -> None:
        """`requests_per_minute` is at least 1; a tenth of them, but at least one, may come at once."""
        self._database = database
        self._bucket = bucket
        self._allowed = requests_per_minute
        self._burst = burst_of(requests_per_minute)
        # Whole microseconds, as PostgreSQL counts: the burst is then an exact multiple.
        self._interval = timedelta(microseconds=math.ceil(MINUTE / timedelta(microseconds=1) / requests_per_minute))

    async def admit(self, user_id: str) -> None:
        """Count one call. Raises TooManyRequests for one too many, which is not counted."""
        parameters = {
            "bucket": self._bucket,
            "user_id": user_id,
            "interval": self._interval,
            "burst": self._burst * self._interval,
        }
        if await self._database.fetch_one(_ADMIT, parameters) is None:
            row = await self._database.fetch_one(_WAIT, parameters)
            raise self._refusal(row["seconds"] if row is not None else 0)

    def _refusal(self, seconds: float) -> TooManyRequests:
        retry_after = max(1, math.ceil(seconds))
        return TooManyRequests(
            f"{self._allowed} calls a minute are allowed, {self._burst} of them at once:"
            f" try again in {retry_after} seconds, then once in {self._interval.total_seconds():.3g} seconds",
            retry_after=retry_after,
            limit="requestsPerMinute",
            allowed=self._allowed,
        )


def burst_of(requests_per_minute: int) -> int:
    """How many calls may come at once."""
    return max(1, requests_per_minute // BURST_FRACTION)


async def forget_full(database: Database, bucket: str) -> int:
    """Remove the rows of users whose allowance has long been whole: they say nothing, and name a user."""
    return await database.execute(_FORGET, {"bucket": bucket, "kept": KEPT_WHEN_FULL})
