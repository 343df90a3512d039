"""Real parts that fail at one call: right before it, or right after it took effect, as when a process dies there."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mediabucket_s3.errors import StoreUnavailable


@dataclass
class FailingCalls:
    """Counts calls; the `fails_at`-th (from 1; 0: none) and all later ones fail. `log`: those that were reached."""

    fails_at: int = 0
    after_effect: bool = False
    log: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return 0 < self.fails_at <= len(self.log)

    def reach(self, name: str) -> bool:
        """Note a call; raise if it is to have no effect, answer whether it is to fail after it had one."""
        dead = self.failed
        self.log.append(name)
        if dead or (self.failed and not self.after_effect):
            raise died(name)
        return self.failed

    def call(self, name: str, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(original)
        async def failing(*arguments: Any, **options: Any) -> Any:
            fails = self.reach(name)
            answer = await original(*arguments, **options)
            if fails:
                raise died(name)
            return answer

        return failing

    def listing(self, name: str, original: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        @functools.wraps(original)
        async def failing(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
            fails = self.reach(name)
            async for entry in original(*arguments, **options):
                yield entry
            if fails:
                raise died(name)

        return failing


def died(name: str) -> StoreUnavailable:
    return StoreUnavailable(name, "Injected", 503)


@contextmanager
def failing(calls: FailingCalls, methods: dict[type, tuple[str, ...]], listings: tuple[str, ...]) -> Iterator[None]:
    """Let these methods go through `calls` meanwhile; those named in `listings` are asynchronous generators."""
    originals = [(owner, name, getattr(owner, name)) for owner, names in methods.items() for name in names]
    for owner, name, original in originals:
        wrap = calls.listing if name in listings else calls.call
        setattr(owner, name, wrap(f"{owner.__name__}.{name}", original))
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
