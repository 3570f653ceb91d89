"""Datasets: append-only items, read by position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from msgspec import UNSET, Struct, UnsetType

from storectl.model.endpoint import Endpoint
from storectl.model.items import Items
from storectl.model.storage import Storage, Storages


class Dataset(Storage, kw_only=True):
    """One dataset. clean_item_count: items left when hidden fields and empty items are dropped."""

    item_count: int = 0
    clean_item_count: int = 0
    fields: list[str] | None = None
    items_public_url: str | UnsetType = UNSET


class ItemsQuery(Struct, rename="camel", frozen=True, kw_only=True):
    """Which items, in what order and shape. The window is cut first, filters come after.

    offset, limit: stored items; limit None means to the end. The order of work
    is: window, view, skip failed pages, unwind, flatten, fields, omit, rename,
    skip hidden, skip empty.
    Source: Apify API v2, "Get items" (GET /v2/datasets/{id}/items).
    """

    offset: int = 0
    limit: int | None = None
    desc: bool = False
    clean: bool = False
    skip_hidden: bool = False
    skip_empty: bool = False
    fields: tuple[str, ...] = ()
    output_fields: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    unwind: tuple[str, ...] = ()
    flatten: tuple[str, ...] = ()
    view: str | None = None
    simplified: bool = False
    skip_failed_pages: bool = False

    @property
    def shapes(self) -> bool:
        """Whether items come out in another form than they are stored."""
        return bool(
            self.clean or self.skip_hidden or self.skip_empty or self.fields or self.omit
            or self.unwind or self.flatten or self.view or self.simplified
            or self.skip_failed_pages
        )  # fmt: skip

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The fields that items come out with, in their order, if the query names them."""
        hides = self.clean or self.skip_hidden
        names = [
            renamed
            for field, renamed in zip(self.fields, self.output_fields or self.fields, strict=False)
            if field not in self.omit and not (hides and renamed.startswith("#"))
        ]
        return tuple(names) or None


class ItemsPage(Struct, kw_only=True):
    """One window of items, as JSON lines in blocks, cut anywhere, that can be read once.

    total: items in the dataset. scanned: stored items in the window, which the
    next window starts after; `lines` may hold more or fewer of them. bytes: the
    length of all blocks together, where it is known beforehand. is_checked: that who
    keeps the items has held them against its checksums, so that nobody has to again.
    packed: the same lines as frames of zstd (see formats/frames.py), where they are kept
    so; of the two one can be read, and who unpacks a frame holds it against its checksum.
    """

    total: int
    offset: int
    limit: int | None
    desc: bool
    scanned: int
    lines: Iterable[bytes]
    packed: Iterable[bytes] | None = None
    bytes: int | None = None
    is_checked: bool = False


class Datasets(Storages[Dataset], Protocol):
    """What a store can do with datasets. Proved by tests/contract/test_dataset.py."""

    def items(self, ref: str, query: ItemsQuery) -> ItemsPage:
        """Read a window. The blocks are streamed: memory does not grow with the dataset."""
        ...

    def push(self, ref: str, items: Items, *, idempotency_key: str | None = None) -> None:
        """Append items at the end, all or none. A repeated key appends nothing."""
        ...

    def keeps_keys(self) -> bool:
        """Whether a repeated idempotency key appends nothing; elsewhere keys are passed over."""
        ...

    def statistics(self, ref: str) -> dict[str, Any]:
        """`fieldStatistics`: min, max, nullCount, emptyCount by field, or None without a schema."""
        ...


LIST = Endpoint("GET", "/v2/datasets", "dataset", "list")
CREATE = Endpoint("POST", "/v2/datasets", "dataset", "create")
GET = Endpoint("GET", "/v2/datasets/{ref}", "dataset")
UPDATE = Endpoint("PUT", "/v2/datasets/{ref}", "dataset", "write")
DELETE = Endpoint("DELETE", "/v2/datasets/{ref}", "dataset", "write")
CHECKED = ("X-Storectl-Items", "checked")
"""The header of items that were held against checksums, see ItemsPage.is_checked."""

PACKED = "application/zstd"
"""The media type of JSON lines in frames, for who says that it accepts them."""

ITEMS = Endpoint("GET", "/v2/datasets/{ref}/items", "dataset", signed=True)
PUSH = Endpoint("POST", "/v2/datasets/{ref}/items", "dataset", "write", fast=True)
STATISTICS = Endpoint("GET", "/v2/datasets/{ref}/statistics", "dataset")
