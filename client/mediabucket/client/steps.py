"""What the decisions of this package ask of the world.

A Flow is a generator: it yields steps, is sent what came of them, and returns its result. Flows decide and never wait,
read or send; `sync_runner` and `async_runner` do, and decide nothing. A step that fails raises in the flow.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mediabucket.client.files import Piece

T = TypeVar("T")


@dataclass(frozen=True)
class ApiCall:
    """A request to the API: an Answer, or ConnectionFailed. `path` begins with a slash; `body` is sent as JSON;
    `redirects`: the answer is where to find what was asked for. Nobody follows it.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    redirects: bool = False


@dataclass(frozen=True)
class StorePut:
    """A PUT of a piece with exactly these headers: an Answer, or ConnectionFailed, FileChanged, OSError.

    `on_bytes` is told how many bytes of the piece have left.
    """

    url: str
    headers: Mapping[str, str]
    piece: Piece
    on_bytes: Callable[[int], None]


@dataclass(frozen=True)
class Digest:
    """The SHA-256 of a piece in hexadecimal, or FileChanged, OSError. `on_bytes` is told how many are read."""

    piece: Piece
    on_bytes: Callable[[int], None]


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Parallel:
    """The results of flows, in their order, at most `limit` at a time. The first failure stops the others."""

    flows: Sequence["Flow[Any]"]
    limit: int


Step = ApiCall | StorePut | Digest | Pause | Parallel
Flow = Generator[Step, Any, T]


@dataclass(frozen=True)
class Answer:
    """What was answered; names of headers are compared without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
