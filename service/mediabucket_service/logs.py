"""Logs on standard output: one JSON object a line, or lines for a person at a terminal.

Members: time (RFC 3339, UTC), level, logger, message, request_id inside a request, exc_info with an exception, and
what the line itself adds. One handler, on the root: whatever a library logs takes the same way out.
"""

import logging
import sys
import time
from enum import StrEnum
from typing import Any, Final, TextIO

from pythonjsonlogger.json import JsonEncoder, JsonFormatter
from typing_extensions import override

from mediabucket_service.access_line import Answered, json_line, rfc3339, text_line
from mediabucket_service.redaction import STANDARD_ATTRIBUTES, SecretsFilter
from mediabucket_service.request_context import current_request

OWN_LOGGERS: Final = ("mediabucket_service", "mediabucket_s3", "uvicorn", "alembic")
# What uvicorn adds for its own formatter: the message again, with colours.
_UNWANTED: Final = frozenset({"color_message"})


class LogFormat(StrEnum):
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes records, and the lines of requests."""

    def __init__(self, stream: TextIO, *, as_text: bool) -> None:
        super().__init__(stream)
        self._as_text = as_text
        self.setFormatter(TextFormatter() if as_text else JsonLines())

    def write(self, answered: Answered) -> None:
        """One line; as with records, a stream that takes none disturbs no request."""
        now = time.time()
        line = printable(text_line(answered, now)) if self._as_text else json_line(answered, now)
        self.acquire()
        try:
            self.stream.write(line + self.terminator)
            self.flush()
        except Exception:
            self.handleError(logging.makeLogRecord({"msg": line}))
        finally:
            self.release()


def write_line(answered: Answered) -> None:
    """Log a request; not at all in a process that has not set up logging."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.write(answered)


def set_up_logging(log_format: LogFormat | None, level: LogLevel, stream: TextIO | None = None) -> None:
    """Log to `stream` (standard output). Without a format: text at a terminal, else JSON. May be called again.

    DEBUG is of all libraries, any other level of this program and its server; libraries then tell warnings.
    """
    stream = stream or sys.stdout
    as_text = stream.isatty() if log_format is None else log_format is LogFormat.TEXT
    handler = LineHandler(stream, as_text=as_text)
    handler.addFilter(_add_request)
    handler.addFilter(SecretsFilter())
    # Nobody looks at these, and every record would ask the system for them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, LineHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level if level is LogLevel.DEBUG else logging.WARNING)
    _let_pass(level)


def _let_pass(level: LogLevel) -> None:
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level)
    # uvicorn's command line has given its loggers handlers of their own by now.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"


def _add_request(record: logging.LogRecord) -> bool:
    if (context := current_request()) is not None:
        record.request_id = context.request_id
    return True


def _members(record: logging.LogRecord) -> dict[str, Any]:
    """What a line adds to the standard members."""
    names = record.__dict__.keys() - STANDARD_ATTRIBUTES - _UNWANTED
    return {name: record.__dict__[name] for name in sorted(names)}


class JsonLines(JsonFormatter):
    """python-json-logger's formatter. All but ASCII is escaped: no content can end a line."""

    def __init__(self) -> None:
        # One encoder for all lines: json.dumps with a class makes a new one for each.
        encoder = JsonEncoder(ensure_ascii=True)
        super().__init__(json_serializer=lambda data, **_: encoder.encode(data))

    @override
    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = rfc3339(record.created)
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = record.message
        log_data.update(_members(record))
        log_data.update(message_dict)


class TextFormatter(logging.Formatter):
    """`12:00:00.000 INFO mediabucket_service.access: GET / 200 duration_ms=1.2 ...`; tracebacks are indented."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        members = "".join(f" {name}={value}" for name, value in _members(record).items())
        time = rfc3339(record.created)[11:]
        line = f"{time} {record.levelname} {record.name}: {record.getMessage()}{members}"
        details = [text for text in (record.exc_text, record.stack_info) if text]
        return "\n    ".join([printable(line), *(printable(part) for text in details for part in text.splitlines())])


def printable(text: str) -> str:
    """With everything escaped that could end a line or command a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
