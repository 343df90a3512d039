"""Expressions that dashboards and alerts share. The names of metrics and of labels are written here once.

A series exists only after its first event: a share of failures is 0 where none was ever seen, and never no data.
"""

from typing import Final

# What the chart's monitors call the two programs.
UPLOADS_JOB: Final = "mediabucket"
OPERATOR_JOB: Final = "mediabucket-operator"
# The label that the ServiceMonitor gives to an upload service: the name of its MediaBucket.
BUCKET_LABEL: Final = "mediabucket"
EACH_BUCKET: Final = f"namespace, {BUCKET_LABEL}"

INITIATE: Final = 'route=~"/api/media/upload/initiate(/batch)?"'
CONFIRM: Final = 'route="/api/media/{media_id}/confirm"'
# Reasons of failures that tell of wrong bytes, not of a store that does not answer.
WRONG_BYTES: Final = 'reason=~"checksum|size|type"'


def chosen(metric: str, *matchers: str) -> str:
    """A selector: metric{a="b",c="d"}."""
    return f"{metric}{{{','.join(filter(None, matchers))}}}"


def per_second(metric: str, window: str, *matchers: str) -> str:
    """The rate of a counter over the window, such as 5m."""
    return f"rate({chosen(metric, *matchers)}[{window}])"


def increase(metric: str, window: str, *matchers: str) -> str:
    """By how much a counter grew within the window."""
    return f"increase({chosen(metric, *matchers)}[{window}])"


def total(of: str, by: str = "") -> str:
    """The sum; `by` are the labels that are kept."""
    return f"sum by ({by}) ({of})" if by else f"sum({of})"


def highest(of: str, by: str = "") -> str:
    """The maximum, for what every replica says alike."""
    return f"max by ({by}) ({of})" if by else f"max({of})"


def share(part: str, whole: str) -> str:
    """part / whole, and 0 where the part has no series yet."""
    return f"(({part}) or 0 * ({whole})) / ({whole})"


def failing_requests(route: str, window: str, *matchers: str, by: str = "") -> str:
    """Which share of the requests to a route was answered with 5xx."""
    failed = total(per_second("http_requests_total", window, *matchers, route, 'status=~"5.."'), by)
    return share(failed, total(per_second("http_requests_total", window, *matchers, route), by))


def uploads(outcome: str, window: str, *matchers: str, by: str = "") -> str:
    """How many uploads came to this outcome within the window."""
    return total(increase("mediabucket_uploads_total", window, *matchers, f'outcome="{outcome}"'), by)


def quantile(rank: float, histogram: str, window: str, *matchers: str, by: str = "") -> str:
    """A quantile of a histogram in seconds."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({rank}, {total(per_second(f'{histogram}_bucket', window, *matchers), labels)})"
