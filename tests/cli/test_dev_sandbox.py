"""`mediabucket dev` that makes life hard on purpose, measured on real requests."""

import hashlib
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from development_process import PROGRAM, Dev

from mediabucket.client import Client, Retry
from mediabucket_cli.sandbox.hardships import Fate, random_fates

PNG = b"\x89PNG\r\n\x1a\n"


def ticket(dev: Dev, content: bytes) -> dict[str, Any]:
    answer = dev.initiate(file_size=len(content), checksum=hashlib.sha256(content).hexdigest())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def put(found: dict[str, Any], content: bytes) -> httpx.Response:
    return httpx.put(found["upload_url"], content=content, headers=found["headers"], timeout=30)


def put_told(found: dict[str, Any], content: bytes) -> str:
    """The status, or that the connection broke."""
    try:
        return str(put(found, content).status_code)
    except httpx.TransportError:
        return "broken"


def test_each_request_waits_and_signatures_hold(dev: Dev) -> None:
    dev.start("--port", "0", "--latency", "800ms")
    dev.wait_until_ready()
    assert "each request to the API and the store waits 800 ms" in dev.output
    seconds = []

    def timed(response: httpx.Response) -> httpx.Response:
        seconds.append(response.elapsed.total_seconds())
        return response

    content = PNG + b"slow"
    answer = timed(dev.initiate(file_size=len(content), checksum=hashlib.sha256(content).hexdigest()))
    found = answer.json()
    assert timed(put(found, content)).status_code == 200
    media = timed(dev.call("POST", f"/api/media/{found['media_id']}/confirm")).json()
    assert media["status"] == "completed"
    assert timed(httpx.get(media["url"], timeout=30)).content == content
    preflight = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PUT"}
    allowed = timed(httpx.options(found["upload_url"], headers=preflight, timeout=30))
    assert allowed.headers["access-control-allow-origin"]
    assert min(seconds) >= 0.8
    # It waits once, not at each of several proxies.
    assert min(seconds) < 1.5
    # A changed signature is refused: the proxy lends nobody its own.
    forged = found | {"upload_url": found["upload_url"][:-4] + "0000"}
    assert put(forged, content).status_code == 403


def test_so_many_puts_fail_and_a_client_gets_through(dev: Dev) -> None:
    dev.start("--port", "0", "--fail-puts", "10%", "--seed", "7")
    dev.wait_until_ready()
    assert "10 % of PUTs to the store fail (--seed 7)" in dev.output
    content = PNG + b"x" * 1000
    found = ticket(dev, content)
    with ThreadPoolExecutor(4) as pool:
        told = Counter(pool.map(lambda _: put_told(found, content), range(200)))
    expected = Counter(fate for fate, _ in zip(iter(random_fates(0.1, 7), None), range(200), strict=False))
    assert told["503"] == expected[Fate.REFUSED]
    assert told["broken"] == expected[Fate.CUT]
    assert told["200"] == 200 - told["503"] - told["broken"]
    assert 10 <= told["503"] + told["broken"] <= 30
    assert min(told["503"], told["broken"]) > 0
    # Only PUTs to the store: not a call of the API among many.
    assert {dev.call("GET", "/api/media").status_code for _ in range(50)} == {200}


def test_the_client_gets_through_hardships_at_once(dev: Dev, tmp_path: Path) -> None:
    dev.start("--port", "0", "--fail-puts", "60%", "--seed", "1", "--expire-urls", "5s")
    dev.wait_until_ready()
    files = []
    for number in range(6):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(PNG + b"%d" % number)
    stubborn = Retry(attempts=30, first_seconds=0.01, longest_seconds=0.05)
    with Client(dev.ready["api_url"], dev.ready["token"], retry=stubborn) as client:
        outcomes = client.upload_many(files)
    assert [outcome.error for outcome in outcomes] == [None] * 6


def test_urls_die_young_even_after_the_manifest_changes(dev: Dev) -> None:
    dev.start("--port", "0", "--expire-urls", "5s")
    dev.wait_until_ready()
    assert "signed URLs expire after 5 s" in dev.output
    content = PNG + b"late"
    found = ticket(dev, content)
    assert found["expires_in"] == 5
    assert put(found, content).status_code == 200
    time.sleep(6)
    assert put(found, content).status_code == 403
    assert put(ticket(dev, content), content).status_code == 200


def test_without_hardships_nothing_stands_between(running: Dev) -> None:
    content = PNG + b"direct"
    assert ticket(running, content)["upload_url"].startswith(running.ready["s3_endpoint"])
    assert "hard " not in running.output


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--latency", "800", "must be a duration such as 800ms or 1.5s"),
        ("--latency", "-1s", "must be a duration"),
        ("--latency", "2m", "must be at most 60s"),
        ("--fail-puts", "0.1", "must be a percentage such as 10%"),
        ("--fail-puts", "101%", "must be at most 100%"),
        ("--fail-puts", "ten%", "must be a percentage"),
        ("--expire-urls", "5", "must be a duration such as 5s or 10m"),
        ("--expire-urls", "500ms", "must be whole seconds"),
        ("--expire-urls", "200h", "must be whole seconds, from 1s to 604800s"),
        ("--seed", "x", "should be a valid integer"),
    ],
)
def test_bad_values_are_told(tmp_path: Path, option: str, value: str, told: str) -> None:
    command = [str(PROGRAM), "dev", "--data", str(tmp_path / "data"), f"{option}={value}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert ran.returncode == 2
    assert f"Invalid value for '{option}'" in ran.stderr
    assert told in ran.stderr
    assert not (tmp_path / "data").exists()


def test_urls_that_outlive_uploads_are_refused(dev: Dev) -> None:
    dev.start("--port", "0", "--expire-urls", "2h")
    assert dev.process.wait(60) == 1
    assert "--expire-urls 7200s is longer than the manifest's uploads.staleAfterSeconds, 3600" in dev.output
