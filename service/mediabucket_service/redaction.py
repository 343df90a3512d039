"""What a log must never hold, whoever writes the line: signatures, tokens, passwords.

A presigned URL is a bearer token, and an exception's text repeats what it was given. So every record is looked
through on its way out, not at the places that write. Only the line of a request is no record: see access_line.py.
"""

import logging
import re
from typing import Final

REDACTED: Final = "(redacted)"

# Between a name and its value, as query strings, headers, and the repr of dicts, tuples and bytes write it.
_IS: Final = r"""["']?\s*(?:=|:|,|%3D)(?:\s|\\[nrt])*b?["']?"""
_SECRETS: Final = (
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    (re.compile(rf"(?i)(x-amz-(?:signature|credential|security-token){_IS})[^\s&\"'<>;)}}\]]+"), rf"\1{REDACTED}"),
    # The whole value: its scheme may have several parts (AWS4-HMAC-SHA256 Credential=..., Signature=...).
    (re.compile(rf"(?i)(authorization{_IS})[^\r\n\"']+"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]+"), rf"\1{REDACTED}"),
    # RFC 7515 section 7.1: base64url of JSON, which begins with `{"`, `{ ` or a line break after the brace.
    (re.compile(r"\be[wy][\w-]{8,}(?:\.[\w-]*){2,4}"), REDACTED),
    # A password in a URL may itself hold an @: up to the last one.
    (re.compile(r"(\w://[^\s:/@]*:)\S+(@)"), rf"\1{REDACTED}\2"),
    (re.compile(rf"(?i)(password{_IS})[^\s&\"'<>;,)}}\]]+"), rf"\1{REDACTED}"),
    (re.compile(rf"(?i)(signature{_IS})[0-9a-f]{{64}}"), rf"\1{REDACTED}"),
)
# All of them contain one of these; most texts contain none.
_SUSPICIOUS: Final = re.compile(r"(?i)x-amz-|authorization|bearer|\be[wy]|://|password|signature")
# What every record has: https://docs.python.org/3/library/logging.html#logrecord-attributes
STANDARD_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_HARMLESS: Final = (int, float, type(None))
# The request's id has been checked when it was taken over.
_LEFT_ALONE: Final = STANDARD_ATTRIBUTES | {"request_id"}
_TRACEBACKS: Final = logging.Formatter()


def without_secrets(text: str) -> str:
    """The text with every secret replaced by `(redacted)`."""
    if _SUSPICIOUS.search(text) is None:
        return text
    for secret, replacement in _SECRETS:
        text = secret.sub(replacement, text)
    return text


class SecretsFilter(logging.Filter):
    """Rewrites records: message and arguments, exception, stack and extra members. Lets all of them pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = without_secrets(_message(record))
        record.args = None
        if record.exc_info is not None and record.exc_info[0] is not None:
            record.exc_text = without_secrets(_TRACEBACKS.formatException(record.exc_info))
        # Or a formatter would make the text anew.
        record.exc_info = None
        if record.stack_info:
            record.stack_info = without_secrets(record.stack_info)
        for name in record.__dict__.keys() - _LEFT_ALONE:
            value = record.__dict__[name]
            if not isinstance(value, _HARMLESS):
                record.__dict__[name] = without_secrets(str(value))
        return True


def _message(record: logging.LogRecord) -> str:
    """A filter's exception would reach whoever logs."""
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg!r} was logged with arguments that do not fit"
