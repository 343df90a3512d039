"""The API answers the same origins that the bucket does: both follow from `spec.cors`."""

import re
from collections.abc import Iterable

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from mediabucket_api.spec import Cors


def origin_pattern(origins: Iterable[str]) -> str:
    """A regular expression for S3's origin patterns, in which `*` stands for any characters."""
    return "|".join(re.escape(origin).replace(r"\*", ".*") for origin in origins)


def allow_origins(app: FastAPI, cors: Cors) -> None:
    """Let pages of the manifest's origins call the API; none when it names none."""
    if not cors.allowed_origins:
        return
    app.add_middleware(
        CORSMiddleware,
        allow_origin_regex=origin_pattern(cors.allowed_origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
        max_age=cors.max_age_seconds,
    )
