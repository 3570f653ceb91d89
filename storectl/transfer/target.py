"""What a pull is to write, as it was asked for."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from storectl.formats import Options

APPENDABLE = ("jsonl", "csv")


class Target(Struct, frozen=True, kw_only=True):
    """What is to be written. format: a name of formats.FORMATS. packing: gzip, zstd or None.

    append: add to the end of the file. split: items of one file; their names get
    -00001 and so on before the suffix.
    """

    file: Path
    format: str = "jsonl"
    options: Options = Options()
    packing: str | None = None
    append: bool = False
    split: int | None = None

    @property
    def is_part(self) -> bool:
        """Whether the part file is what is wanted, byte for byte."""
        return self.format == "jsonl" and not (
            self.packing or self.append or self.split or self.options.bom
        )

    def numbered(self, number: int) -> Path:
        """The name of one file of a split."""
        stem, dot, suffixes = self.file.name.partition(".")
        return self.file.with_name(f"{stem}-{number:05}{dot}{suffixes}")
