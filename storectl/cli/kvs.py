"""storectl kvs: key-value stores and their records."""

from __future__ import annotations

from storectl.cli.frame import App
from storectl.cli.listing import Noun
from storectl.cli.storage import add_verbs
from storectl.model.kvs import KeyValueStore

app = App("Key-value stores: records of any type, by key.")

KVS = Noun("kvs", "key-value store", KeyValueStore)

add_verbs(app, KVS)
