"""Where readers get the bytes of completed media: the CDN's URL, or a signed one."""

from mediabucket_api.spec import MediaBucketSpec
from mediabucket_s3.presign import Presigner
from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.media.keys import served_headers


class MediaUrls:
    """URLs of one bucket's media."""

    def __init__(self, spec: MediaBucketSpec, presigner: Presigner, now: Clock = utc_now) -> None:
        self._spec = spec
        self._presigner = presigner
        self._now = now

    def cdn_url(self, key: str) -> str | None:
        """The CDN's URL, None when the manifest names no CDN."""
        return self._spec.cdn.url_of(key)

    def of(self, key: str, *, file_name: str, mime_type: str) -> str:
        """A URL that works now; a signed one for as long as upload URLs do."""
        return (
            self.cdn_url(key)
            or self._presigner.get(
                key,
                expires_in=self._spec.uploads.url_ttl_seconds,
                now=self._now(),
                **served_headers(file_name, mime_type),
            ).url
        )
