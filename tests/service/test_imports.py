"""What a process loads before it serves: each import is time until a Pod is ready."""

import subprocess
import sys

# The last of them is imported where an endpoint for traces is configured.
UNUSED = ("boto3", "s3transfer", "alembic", "kopf", "kubernetes", "opentelemetry.sdk")


def test_the_service_loads_nothing_that_it_does_not_use() -> None:
    ask = f"import mediabucket_service.app, sys; print([name for name in {UNUSED} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True, text=True)
    assert answer.stdout == "[]\n"
