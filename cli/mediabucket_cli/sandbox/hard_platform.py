"""The proxies that stand before the API and the store of a development platform, where its hardships need them."""

import socket

from mediabucket_api.connection import StoreConnection
from mediabucket_cli.embedded.ports import LOOPBACK, bound_socket
from mediabucket_cli.sandbox.faults import delayed, failing_puts
from mediabucket_cli.sandbox.hardships import Hardships, random_fates
from mediabucket_cli.sandbox.proxy import ReverseProxy


class HardPlatform:
    """`service_listener`, `start`, use, `stop`. Without hardships nothing stands between."""

    def __init__(self, hardships: Hardships) -> None:
        self.hardships = hardships
        self._api_listener: socket.socket | None = None
        self._before_api: ReverseProxy | None = None
        self._before_store: ReverseProxy | None = None

    def service_listener(self, listener: socket.socket) -> socket.socket:
        """Where the service has to serve; the proxy takes the socket that clients know, if it stands between."""
        if not self.hardships.before_the_api:
            return listener
        self._api_listener = listener
        return bound_socket()

    def start(self, service_url: str, store: StoreConnection) -> None:
        """Stand before both as far as need be."""
        slow = delayed(self.hardships.latency_seconds)
        if self._api_listener is not None:
            self._before_api = ReverseProxy(service_url, self._api_listener, middlewares=[slow])
            self._before_api.start()
        if self.hardships.before_the_store:
            failing = failing_puts(random_fates(self.hardships.failing_puts, self.hardships.seed))
            self._before_store = ReverseProxy(store.endpoint, middlewares=[slow, failing])
            self._before_store.start()

    def stop(self) -> None:
        """Nothing happens the second time."""
        for proxy in (self._before_api, self._before_store):
            if proxy is not None:
                proxy.stop()
        if self._api_listener is not None:
            self._api_listener.close()

    @property
    def api_url(self) -> str | None:
        """Where clients find the API; None where they find the service itself."""
        if self._api_listener is None or self._api_listener.fileno() < 0:
            return None
        return f"http://{LOOPBACK}:{self._api_listener.getsockname()[1]}"

    def store(self, store: StoreConnection) -> StoreConnection:
        """The connection whose URLs for clients lead through us, signed for our address."""
        if self._before_store is None:
            return store
        return store.model_copy(update={"public_endpoint": self._before_store.url})
