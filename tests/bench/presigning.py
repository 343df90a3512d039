"""One upload URL: the service's presigner beside botocore's own, which boto3 uses where awscrt is not installed.

botocore decides when it is imported, so that its presigner runs in a process of its own: presigning.py SECONDS.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from botocore.config import Config
from botocore.session import Session
from generators import BenchmarkFailed, Measurement
from rounds import Contestant, timed

from mediabucket_api.connection import BucketConnection
from mediabucket_s3.presign import Presigner

_UNIT: Final = "URLs/s"
_TYPE: Final = "image/png"
_BYTES: Final = 4096
_EXPIRES_SECONDS: Final = 300
# Constants of the peer's process: signing needs no store.
_ENDPOINT: Final = "http://127.0.0.1:8333"
_NAMES: Final = {"region_name": "us-east-1", "aws_access_key_id": "bench", "aws_secret_access_key": "not a secret"}


def presigners(connection: BucketConnection) -> list[Contestant]:
    """Both on one core, one URL after the other; the latency is the mean."""
    presigner = Presigner(connection.store, connection.bucket)

    def ours(number: int) -> None:
        presigner.put(f"pending/{number}", content_type=_TYPE, content_length=_BYTES, expires_in=_EXPIRES_SECONDS)

    return [
        Contestant("presign", lambda seconds: timed(ours, seconds), unit=_UNIT),
        Contestant("presign, botocore", _botocore, unit=_UNIT),
    ]


def _botocore(seconds: int) -> Measurement:
    done = subprocess.run(
        [sys.executable, __file__, str(seconds)],
        env=os.environ | {"BOTO_DISABLE_CRT": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkFailed(f"botocore did not sign: {done.stderr.strip()}")
    return Measurement(**json.loads(done.stdout))


def _theirs() -> Callable[[int], None]:
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    client = Session().create_client("s3", endpoint_url=_ENDPOINT, config=config, **_NAMES)

    def sign(number: int) -> None:
        parameters = {"Bucket": "bench", "Key": f"pending/{number}", "ContentType": _TYPE, "ContentLength": _BYTES}
        client.generate_presigned_url("put_object", Params=parameters, ExpiresIn=_EXPIRES_SECONDS)

    return sign


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(timed(_theirs(), float(sys.argv[1])))))
