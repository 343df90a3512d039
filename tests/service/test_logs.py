"""What is logged, in which form, and what never is."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_service import real_service
from service_platform import Platform
from tcp_proxy import TcpProxy
from upload_client import File, UploadClient, make_token

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.access_line import Answered
from mediabucket_service.logs import (
    JsonLines,
    LineHandler,
    LogFormat,
    LogLevel,
    TextFormatter,
    printable,
    set_up_logging,
)
from mediabucket_service.redaction import REDACTED, SecretsFilter, without_secrets

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SIGNATURE = "5a1b" * 16
TOKEN = make_token("alice")
# What holds a secret, and what of it must be gone.
LEAKS = [
    (f"https://s3.example/b/k?X-Amz-Credential=AKID%2F2026&X-Amz-Signature={SIGNATURE}&x=1", ["AKID", SIGNATURE]),
    (f"x-amz-signature: {SIGNATURE}", [SIGNATURE]),
    ("https://s3.example/?X-Amz-Security-Token=FwoGZXIvYXdzE%2B&y", ["FwoGZXIvYXdzE"]),
    (str({"X-Amz-Security-Token": "FwoGZXIvYXdzE+/="}), ["FwoGZXIvYXdzE"]),
    (str([(b"authorization", b"Bearer opaque-token"), (b"accept", b"*/*")]), ["opaque-token"]),
    (f"Authorization: AWS4-HMAC-SHA256 Credential=AKID/x, SignedHeaders=host, Signature={SIGNATURE}", ["AKID", "5a1b"]),
    ("the header was Bearer abc.def-ghi_jkl~+/==", ["abc", "ghi"]),
    (f"token {TOKEN} is bad", [*TOKEN.split(".")]),
    ("cannot connect to postgresql://media:p%40ss@db:5432/media", ["p%40ss"]),
    ("cannot connect to postgresql+psycopg://media:p@s/s@db/media", ["p@s/s"]),
    ("mongodb://user:hunter2@a,b/admin", ["hunter2"]),
    ("host=db password=hunter2 dbname=media", ["hunter2"]),
    (str({"user": "media", "password": "hunter2"}), ["hunter2"]),
    (f"Signature:\n{SIGNATURE}", [SIGNATURE]),
]


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of its own, with the handler that set_up_logging makes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    handler.addFilter(SecretsFilter())
    logger = logging.getLogger("test_logs")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


@pytest.mark.parametrize(("text", "secrets"), LEAKS, ids=range(len(LEAKS)))
def test_secrets_are_redacted_wherever_they_are(
    text: str, secrets: list[str], log: tuple[logging.Logger, io.StringIO]
) -> None:
    logger, stream = log
    logger.warning(text.replace("%", "%%"))
    logger.warning("argument: %s", text)
    logger.warning("member", extra={"url": text, "parts": [text]})
    try:
        raise RuntimeError(text) from ValueError(text)
    except RuntimeError:
        logger.exception("exception")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 4
    for line in lines:
        assert REDACTED in json.dumps(line)
        assert [secret for secret in secrets if secret in json.dumps(line)] == []
    assert "RuntimeError" in lines[3]["exc_info"]


@pytest.mark.parametrize(
    "text",
    [
        "HeadObject pending/019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b: 404",
        "mediabucket_service.media.confirm: everything.that.is fine",
        "GET /api/media/{media_id}/content 307",
        "http://127.0.0.1:8333/bucket/key",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_a_log_call_that_does_not_fit_disturbs_nobody(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.warning("%d of %d", "one")
    assert "does not fit" in stream.getvalue() or "do not fit" in stream.getvalue()


@given(st.text())
def test_nothing_ends_a_line(text: str) -> None:
    record = logging.makeLogRecord({"name": "a", "msg": text, "levelname": "INFO", "user": text})
    for formatter in (JsonLines(), TextFormatter()):
        assert len(formatter.format(record).splitlines()) == 1
    assert json.loads(JsonLines().format(record))["message"] == text
    assert printable(text).isprintable()


def answered(*, method: str = "GET", user: str | None = None) -> Answered:
    return Answered(method, "/api/media", 200, 0.0125, "a-request", None, None, user)


def written(request: Answered, *, as_text: bool) -> str:
    stream = io.StringIO()
    LineHandler(stream, as_text=as_text).write(request)
    return stream.getvalue()


@given(st.text(), st.text())
def test_nothing_in_a_request_ends_its_line(method: str, user: str) -> None:
    request = answered(method=method, user=user)
    for as_text in (True, False):
        [line] = written(request, as_text=as_text).splitlines()
        assert line.isprintable()
    told = json.loads(line)
    assert (told["method"], told["user"]) == (without_secrets(method), without_secrets(user))
    always = {"time", "level", "logger", "message", "method", "route", "status", "duration_ms", "request_id"}
    assert told.keys() == always | {"user"}


@pytest.mark.parametrize(("text", "secrets"), LEAKS, ids=range(len(LEAKS)))
def test_secrets_are_redacted_in_the_line_of_a_request(text: str, secrets: list[str]) -> None:
    for request in (answered(user=text), answered(method=text)):
        for as_text in (True, False):
            line = written(request, as_text=as_text)
            assert REDACTED in line
            assert [secret for secret in secrets if secret in line] == []


def test_a_log_that_takes_no_more_lines_fails_no_request(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    handler = LineHandler(stream, as_text=False)
    stream.close()
    handler.write(answered())
    assert "I/O operation on closed file" in capsys.readouterr().err


def test_a_traceback_cannot_pass_for_a_line_of_its_own() -> None:
    record = logging.makeLogRecord(
        {"name": "a", "msg": "m", "levelname": "INFO", "exc_text": "E: a\n12:00 INFO forged"}
    )
    assert TextFormatter().format(record).splitlines()[1:] == ["    E: a", "    12:00 INFO forged"]


def test_the_format_follows_the_stream_unless_it_is_named() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    root = logging.getLogger()
    levels, handlers = root.level, list(root.handlers)
    try:
        for stream, named, is_json in (
            (io.StringIO(), None, True),
            (Terminal(), None, False),
            (Terminal(), LogFormat.JSON, True),
            (io.StringIO(), LogFormat.TEXT, False),
        ):
            set_up_logging(named, LogLevel.INFO, stream)
            logging.getLogger("mediabucket_service.test").info("hello")
            assert stream.getvalue().startswith("{") == is_json
            assert stream.getvalue().count("hello") == 1
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels)


async def test_each_request_has_one_line(platform: Platform, tmp_path: Path) -> None:
    with real_service(platform, tmp_path) as service:
        async with service.client() as http:
            alice = service.user(http, 'älice "x"')
            ticket = (await alice.initiate(File(b"hello"))).json()
            await http.get("/api/media/x?X-Amz-Signature=abc&secret=1")
            await http.get("/nowhere%0A%7B%7D", headers=[(b"User-Agent", b'a\xc2\x85{"status": 500}')])
            await alice.get(ticket["media_id"])
        service.terminate()
        await asyncio.to_thread(service.process.wait, 20)
    for line in service.lines():
        assert {"time", "level", "logger", "message"} <= line.keys()
        assert TIME.fullmatch(line["time"])
    initiated, unauthenticated, lost, got = [line for line in service.access() if line["route"] != "/healthz"]
    assert initiated["user"] == got["user"] == 'älice "x"'
    assert initiated["media_id"] == got["media_id"] == ticket["media_id"]
    assert (initiated["method"], initiated["status"]) == ("POST", 200)
    assert (initiated["route"], got["route"]) == ("/api/media/upload/initiate", "/api/media/{media_id}")
    assert 0 < initiated["duration_ms"] < 30_000
    assert (unauthenticated["status"], unauthenticated["route"]) == (401, "/api/media/{media_id}")
    assert "user" not in unauthenticated
    assert "media_id" not in unauthenticated
    assert (lost["status"], lost["route"]) == (404, "none")
    assert "secret=1" not in service.text()


@pytest.mark.parametrize("offered", ["a", "A-Z_0.9" * 9, "x" * 64])
async def test_a_request_id_is_taken_over(platform: Platform, offered: str) -> None:
    answer = await platform.http.get("/nowhere", headers={"X-Request-ID": offered})
    assert answer.headers.get_list("x-request-id") == [offered]
    assert answer.json()["request_id"] == offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", 'a"b', "ä", "a\tb", "a/b", "a\nb"])
async def test_any_other_is_replaced(platform: Platform, offered: str) -> None:
    header = (b"X-Request-ID", offered.encode())
    answers = [await platform.http.get("/nowhere", headers=[header]) for _ in range(2)]
    ids = [UUID(answer.json()["request_id"]) for answer in answers]
    assert [found.version for found in ids] == [7, 7]
    assert ids[0] != ids[1]
    assert answers[0].headers["x-request-id"] == str(ids[0])


async def test_all_that_a_request_logs_has_its_id_even_a_bug(
    platform: Platform, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    ticket = await platform.user().begin(File(b"hello"))
    with (
        TcpProxy(seaweedfs.ports["s3.port"]) as store,
        real_service(platform, tmp_path, store_port=store.port) as service,
    ):
        store.refuse()
        async with service.client() as http:
            alice = UploadClient(http, http)
            headers = alice.headers | {"X-Request-ID": "the-store-is-away"}
            answer = await http.post(f"/api/media/{ticket['media_id']}/confirm", headers=headers)
            # The table is gone: a bug as far as the service can tell.
            await platform.database.execute("ALTER TABLE media_files RENAME TO hidden", {})
            try:
                bug = await http.get("/api/media", headers=alice.headers | {"X-Request-ID": "a-bug"})
            finally:
                await platform.database.execute("ALTER TABLE hidden RENAME TO media_files", {})
        # The server logs a bug once more after it has answered.
        service.terminate()
        await asyncio.to_thread(service.process.wait, 20)
    assert (answer.status_code, answer.json()["request_id"]) == (503, "the-store-is-away")
    told = [line for line in service.lines() if line.get("request_id") == "the-store-is-away"]
    assert {line["logger"] for line in told} == {"mediabucket_service.problems", "mediabucket_service.access"}
    assert any("HeadObject pending/" in line["message"] for line in told)
    assert (bug.status_code, bug.json()["request_id"], bug.headers["x-request-id"]) == (500, "a-bug", "a-bug")
    told = [line for line in service.lines() if line.get("request_id") == "a-bug"]
    assert {line["logger"] for line in told} >= {
        "mediabucket_service.problems",
        "mediabucket_service.access",
        "uvicorn.error",
    }
    assert [line["status"] for line in told if line["logger"] == "mediabucket_service.access"] == [500]
    assert any("UndefinedTable" in line.get("exc_info", "") for line in told)


async def test_at_debug_no_library_tells_a_secret(platform: Platform, tmp_path: Path) -> None:
    """A whole upload with botocore, aiobotocore, psycopg and uvicorn telling all they know."""
    with real_service(platform, tmp_path, changes={"MEDIABUCKET_LOG_LEVEL": "DEBUG"}) as service:
        async with service.client() as http:
            alice = service.user(http)
            ticket = await alice.begin(File(b"hello"))
            media = (await alice.confirm(ticket["media_id"])).json()
            await http.get("/api/media", headers={"Authorization": f"{alice.headers['Authorization']}x"})
            token = alice.headers["Authorization"].split()[1]
    text = service.text()
    assert {line["logger"].split(".")[0] for line in service.lines()} >= {"botocore", "uvicorn", "mediabucket_service"}
    urls = [httpx.URL(ticket["upload_url"]), httpx.URL(media["url"])]
    secrets = [url.params["X-Amz-Signature"] for url in urls]
    secrets += [token, *token.split(".")[1:], platform.connection.store.secret_access_key.get_secret_value()]
    password = httpx.URL(platform.settings.database_url.get_secret_value()).password
    assert password
    assert [secret for secret in [*secrets, password] if secret in text] == []
    assert re.findall(r"[Ss]ignature\W{1,6}[0-9a-f]{64}", text) == []
