"""What commands share that read all items of a dataset to say something of them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer

from storectl.cli.frame import Context
from storectl.cli.options import comma
from storectl.model.dataset import Dataset, ItemsQuery
from storectl.model.store import Store
from storectl.transfer.keys import Key, distinct
from storectl.transfer.windows import Rows, rows_of_window

KeyFields = Annotated[
    list[str],
    typer.Option(
        "--key", metavar="F,…", help="Fields that tell items apart; a.b is a path.",
        show_default=False,
    ),
]  # fmt: skip


class Reading(NamedTuple):
    """A dataset that is to be read. size: rows of a call."""

    store: Store
    dataset: Dataset
    rows: Rows
    size: int


def reading(ctx: Context, ref: str, query: ItemsQuery | None = None) -> Reading:
    """Find a dataset. NotFound if it is not there."""
    store, opened = ctx.obj.open(ref, "dataset")
    dataset = store.datasets.get(opened)
    rows = Rows(
        store.datasets,
        opened,
        query or ItemsQuery(),
        jobs=ctx.obj.jobs(store),
        retries=ctx.obj.settings.retries,
    )
    return Reading(store, dataset, rows, rows_of_window(dataset, rows.jobs))


def key_of(fields: list[str] | None) -> Key:
    """The key that --key names."""
    return Key(distinct(comma(fields)))
