"""Key-value stores over HTTP."""

from __future__ import annotations

from storectl.model import kvs
from storectl.server.storage import handlers

_common = handlers("kvs", lambda call: call.store.kvs, lambda call, storage: {})

HANDLERS = {
    kvs.LIST: _common["LIST"],
    kvs.CREATE: _common["CREATE"],
    kvs.GET: _common["GET"],
    kvs.UPDATE: _common["UPDATE"],
    kvs.DELETE: _common["DELETE"],
}
