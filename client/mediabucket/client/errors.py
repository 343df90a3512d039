"""What goes wrong that is no refusal of the API; those are in `problems`.

MediaBucketError
├── ConnectionFailed      no answer, though it was tried again as often as the client's Retry says
├── UnexpectedAnswer      something that does not speak this API answered: a proxy, a captive portal
├── StoreRefused          the store refused a PUT; `code` is its own word for why
│   ├── UrlExpired        … again and again with 403, although each URL was fresh
│   └── UploadLost        … again and again with 404: it knows no such upload
├── NotVerifiedYet        the service was still verifying the file when patience ran out
├── FileChanged           the file became shorter while it was read
└── Problem               see `problems`
"""


class MediaBucketError(Exception):
    """The message is a sentence for a person; it never holds a token or a signed URL."""


class ConnectionFailed(MediaBucketError):
    """The API or the store cannot be reached, or the connection broke."""


class UnexpectedAnswer(MediaBucketError):
    """An answer that is none of this API's. `status` is that of HTTP."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{reason} (HTTP status {status}): is the address that of the MediaBucket API?")
        self.status = status


class StoreRefused(MediaBucketError):
    """`status` is that of HTTP; `code` the store's, such as AccessDenied, empty when it said nothing.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        told = ": ".join(part for part in (code, message) if part)
        super().__init__(f"the store answered {status}" + (f", {told}" if told else ""))
        self.status = status
        self.code = code


class UrlExpired(StoreRefused):
    """A fresh URL may help."""


class UploadLost(StoreRefused):
    """Announcing the file again may help."""


class NotVerifiedYet(MediaBucketError):
    """The bytes are there. Confirm the upload later, or upload the file again: it is not sent a second time."""


class FileChanged(MediaBucketError):
    """The file is not what it was when the upload began."""
