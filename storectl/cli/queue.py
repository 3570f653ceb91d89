"""storectl queue: request queues and their requests."""

from __future__ import annotations

from storectl.cli.frame import App
from storectl.cli.listing import Noun
from storectl.cli.storage import add_verbs
from storectl.cli.values import Column
from storectl.model.queue import Queue

app = App("Request queues: URLs to visit, each once.")

QUEUE = Noun(
    "queue",
    "request queue",
    Queue,
    counted=[
        Column("totalRequestCount", "REQUESTS", "count"),
        Column("pendingRequestCount", "PENDING", "count"),
    ],
    described=[
        Column("totalRequestCount", "Requests", "count"),
        Column("handledRequestCount", "Handled", "count"),
        Column("pendingRequestCount", "Pending", "count"),
    ],
)

add_verbs(app, QUEUE)
