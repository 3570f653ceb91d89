"""storectl dataset: append items, read them back in any format."""

from __future__ import annotations

from storectl.cli.frame import App
from storectl.cli.storage import Noun, add_verbs
from storectl.cli.values import Column
from storectl.model.dataset import Dataset

app = App("Datasets: append items, read them back in any format.")

DATASET = Noun(
    "dataset",
    "dataset",
    Dataset,
    counted=[Column("itemCount", "ITEMS", "count")],
    described=[
        Column("itemCount", "Items", "count"),
        Column("cleanItemCount", "Clean items", "count"),
        Column("fields", "Fields"),
    ],
)

add_verbs(app, DATASET)
