"""A store behind an address: the keepers over one HTTP client."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from storectl.client.http import Http
from storectl.client.token import Tokens

if TYPE_CHECKING:
    from storectl.client.access import AccessRights
    from storectl.client.dataset import Datasets
    from storectl.client.kvs import KeyValueStores
    from storectl.client.queue import Queues


class ClientStore:
    """See model/store.py `Store`. Each keeper is imported when it is asked."""

    def __init__(self, http: Http) -> None:
        self.http = http

    @cached_property
    def datasets(self) -> Datasets:
        from storectl.client.dataset import Datasets

        return Datasets(self.http)

    @cached_property
    def kvs(self) -> KeyValueStores:
        from storectl.client.kvs import KeyValueStores

        return KeyValueStores(self.http)

    @cached_property
    def queues(self) -> Queues:
        from storectl.client.queue import Queues

        return Queues(self.http)

    @cached_property
    def access(self) -> AccessRights:
        from storectl.client.access import AccessRights

        return AccessRights(self.http)

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.http)

    @property
    def retried(self) -> int:
        """How often a call was made again."""
        return self.http.retried

    @property
    def extensions(self) -> frozenset[str]:
        """What the server offers beyond the API."""
        return self.http.extensions

    @property
    def label(self) -> str:
        """The address; who the token speaks for is not asked for a label."""
        return self.http.host

    def close(self) -> None:
        self.http.close()
