"""Request queues on a remote API."""

from __future__ import annotations

from storectl.client.storage import Keeper
from storectl.model import queue
from storectl.model.queue import Queue


class Queues(Keeper[Queue]):
    """The keeper of request queues. See model/queue.py for the promise."""

    noun = "queue"
    made = Queue
    LIST, CREATE, GET = queue.LIST, queue.CREATE, queue.GET
    UPDATE, DELETE = queue.UPDATE, queue.DELETE
