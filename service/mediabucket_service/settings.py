"""What a process is told by its environment; everything about uploads comes from the MediaBucket instead."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from `MEDIABUCKET_*`; a wrong or missing value stops the start with a sentence that names it."""

    model_config = SettingsConfigDict(env_prefix="MEDIABUCKET_", frozen=True)

    database_url: SecretStr
    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    # How long a request waits for the database before it is answered 503.
    database_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    # Messages live in PostgreSQL unless this is set.
    mongodb_url: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    # How long one confirm may own an upload before another may take over; renewed while it works.
    confirm_lease_seconds: Annotated[float, Field(gt=0, le=600)] = 30
    # How long a request waits for a confirm, its own or another's, before it is told to ask again.
    confirm_answer_seconds: Annotated[float, Field(ge=0, le=60)] = 5
    reaper_interval_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    # How often `pending/` is listed for bytes that no live upload expects.
    sweep_interval_seconds: Annotated[float, Field(gt=0, le=86_400)] = 600
