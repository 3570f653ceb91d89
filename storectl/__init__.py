"""storectl: datasets, key-value stores and request queues, from a shell."""

__version__ = "0.1.0"
