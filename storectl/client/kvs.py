"""Key-value stores on a remote API."""

from __future__ import annotations

from storectl.client.storage import Keeper
from storectl.model import kvs
from storectl.model.kvs import KeyValueStore


class KeyValueStores(Keeper[KeyValueStore]):
    """The keeper of key-value stores. See model/kvs.py for the promise."""

    noun = "kvs"
    made = KeyValueStore
    LIST, CREATE, GET, UPDATE, DELETE = kvs.LIST, kvs.CREATE, kvs.GET, kvs.UPDATE, kvs.DELETE
