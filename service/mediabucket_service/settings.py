"""What a process is told by its environment; everything about uploads comes from the MediaBucket instead."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from mediabucket_api.spec import MIN_PART_BYTES
from mediabucket_s3.copies import LARGEST_COPY
from mediabucket_service.logs import LogFormat, LogLevel

MIN_EVENTS_SECRET_BYTES = 16


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < MIN_EVENTS_SECRET_BYTES:
        raise ValueError(f"the secret of store events must have at least {MIN_EVENTS_SECRET_BYTES} bytes")
    return secret


class Settings(BaseSettings):
    """Read from `MEDIABUCKET_*`; a wrong or missing value stops the start with a sentence that names it."""

    model_config = SettingsConfigDict(env_prefix="MEDIABUCKET_", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr
    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    # How long a request waits for the database before it is answered 503.
    database_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    # How many requests may wait for a connection; more are answered 503 at once.
    database_max_waiting: Annotated[int, Field(ge=1, le=100_000)] = 1000
    # Messages live in PostgreSQL unless this is set.
    mongodb_url: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    # How long one confirm may own an upload before another may take over; renewed while it works.
    confirm_lease_seconds: Annotated[float, Field(gt=0, le=600)] = 30
    # How long an erasure works before it answers with what is done so far.
    erasure_answer_seconds: Annotated[float, Field(gt=0, le=600)] = 20
    # How long a request waits for a confirm, its own or another's, before it is told to ask again.
    confirm_answer_seconds: Annotated[float, Field(ge=0, le=60)] = 5
    # What has more bytes is copied in parts; less than S3's 5 GiB for a store that copies less in one call.
    largest_copy_bytes: Annotated[int, Field(ge=MIN_PART_BYTES, le=LARGEST_COPY)] = LARGEST_COPY
    reaper_interval_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    # How often `pending/` is listed for bytes that no live upload expects.
    sweep_interval_seconds: Annotated[float, Field(gt=0, le=86_400)] = 600
    # What notifications of the store must carry; unset: none are taken.
    events_secret: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    # How often each webhook's deliveries are looked for.
    webhook_interval_seconds: Annotated[float, Field(gt=0, le=3600)] = 2
    # How long it goes on serving after SIGTERM, until everybody who sends requests has heard of it; and how long it
    # then may take to finish them. Together below the Pod's terminationGracePeriodSeconds.
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 5
    shutdown_seconds: Annotated[float, Field(ge=1, le=3600)] = 40
    # Absent: text at a terminal, else JSON.
    log_format: LogFormat | None = None
    log_level: LogLevel = LogLevel.INFO
