"""Request queues over HTTP."""

from __future__ import annotations

from storectl.model import queue
from storectl.server.storage import handlers

_common = handlers("queue", lambda call: call.store.queues, lambda call, storage: {})

HANDLERS = {
    queue.LIST: _common["LIST"],
    queue.CREATE: _common["CREATE"],
    queue.GET: _common["GET"],
    queue.UPDATE: _common["UPDATE"],
    queue.DELETE: _common["DELETE"],
}
