import hashlib
from datetime import datetime

from mediabucket_api.connection import StoreConnection
from mediabucket_api.status import Capability


def bucket_name_for(seed: str) -> str:
    return f"mediabucket-probe-{hashlib.sha256(seed.encode()).hexdigest()[:12]}"


def probe_store(
    connection: StoreConnection, *, bucket: str, iam_endpoint: str | None, now: datetime
) -> tuple[Capability, ...]:
    return ()
