"""Whether a file holds what a record holds, by what is remembered of both or by their bytes."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from typing import NamedTuple

from msgspec.structs import replace

from storectl.errors import Conflict, InvalidInput, NotFound, TooLarge
from storectl.formats.encoding import decoded, most_unpacked
from storectl.model.kvs import Key, KeyValueStores, Record
from storectl.transfer.body import Body
from storectl.transfer.folder import Folder, Found, Note, Stamp
from storectl.transfer.plan import Way, Wishes

AT_ONCE = 1000


class Pair(NamedTuple):
    """A key on both sides, as far as it is there."""

    key: str
    name: str
    file: Found | None
    record: Key | None


class Comparison(NamedTuple):
    """One folder and one store, and how their files and records are compared.

    jobs: of which all bytes are compared at once.
    """

    keeper: KeyValueStores
    ref: str
    folder: Folder
    way: Way
    wishes: Wishes
    jobs: int

    def notes(self, pairs: list[Pair]) -> Iterator[Note | None]:
        """What is known of each file that is equal to its record; None where they differ."""
        if self.wishes.compare != "checksum" and not any(map(self._is_of_another, pairs)):
            yield from map(self._equal, pairs)
            return
        with ThreadPoolExecutor(self.jobs) as pool:
            for at in range(0, len(pairs), AT_ONCE):  # a future takes more than a pair
                yield from pool.map(self._equal, pairs[at : at + AT_ONCE])

    def _equal(self, pair: Pair) -> Note | None:
        assert pair.file is not None
        assert pair.record is not None
        file, record, note = pair.file, pair.record, pair.file.note
        if note is not None and not _same_type(note.content_type, record.content_type):
            return None
        if self.wishes.compare == "size":
            size = note.stored if note and note.unpacked else file.stamp.size
            return (note or Note(key=pair.key)) if size == record.size else None
        if self.wishes.compare == "checksum":
            return self._equal_bytes(file, record)
        if self._is_of_another(pair):
            return self._equal_there(file, record)
        if note is None or note.stored != record.size:
            return None
        if note.sha256 and record.sha256 and note.sha256 != record.sha256:
            return None
        if Stamp(note.size or 0, note.mtime_ns or 0) != file.stamp:
            return None
        if self.way == "pull" and (note.unpacked if self.wishes.raw else note.content_encoding):
            return None
        return note

    def _is_of_another(self, pair: Pair) -> bool:
        """Whether a file is known, but not as that of this record, whose checksum is listed."""
        assert pair.file is not None
        assert pair.record is not None
        note, record = pair.file.note, pair.record
        return (
            self.wishes.compare == "memory"
            and note is not None
            and note.stored is None
            and note.content_type is not None
            and bool(record.sha256 and record.content_type)
        )

    def _equal_there(self, file: Found, key: Key) -> Note | None:
        """The note of a file that holds what another store has too, unpacked there as here."""
        if file.stamp.size != key.size or (found := self._equal_listed(file, key)) is None:
            return None
        try:
            record = self.keeper.record(self.ref, key.key, body=False)
        except NotFound:
            return None
        return found if record.content_encoding is None else None

    def _equal_bytes(self, file: Found, key: Key) -> Note | None:
        """Compare all bytes. What is gone or cannot be unpacked is not equal."""
        packed = file.note is not None and file.note.content_encoding is not None
        if self.way == "pull":
            packed = self.wishes.raw
        if (known := self._equal_listed(file, key)) is not None:
            return known
        try:
            record = self.keeper.record(self.ref, key.key)
            is_plain = record.content_encoding is None
            with (
                closing(closable(record.body)) as body,
                self.folder.reading(file.name, file.stamp) as descriptor,
            ):
                mine = iter(Body.of_open(descriptor, file.name))
                same = not (is_plain and record.size not in (None, file.stamp.size))
                same = same and _same_bytes(mine, body if packed else plain(record, body))
        except (InvalidInput, TooLarge, NotFound, Conflict):
            return None
        if not same:
            return None
        note = note_of(record, raw=packed, stored=key.size)
        note.sha256 = key.sha256 or None
        note.size, note.mtime_ns = file.stamp
        return file.note if note == file.note else note

    def _equal_listed(self, file: Found, key: Key) -> Note | None:
        """The note of a plain file that has the checksum which is listed: nothing is read twice.

        None where that says nothing: no checksum, or a record that may be packed.
        """
        note = file.note
        if not key.sha256 or note is None or note.content_encoding or note.unpacked:
            return None
        try:
            with self.folder.reading(file.name, file.stamp) as descriptor:
                actual = _sha256(Body.of_open(descriptor, file.name))
        except (InvalidInput, NotFound, Conflict):
            return None
        if actual != key.sha256:
            return None
        fresh = replace(note, stored=key.size, sha256=actual)
        fresh.size, fresh.mtime_ns = file.stamp
        return note if fresh == note else fresh


def note_of(record: Record, *, raw: bool, stored: int | None) -> Note:
    """What to remember of a record that is in a file. stored: its size, as it is listed."""
    encoding = record.content_encoding
    return Note(
        key=record.key,
        content_type=record.content_type,
        content_encoding=encoding if raw else None,
        unpacked=None if raw else encoding,
        stored=stored,
    )


def plain(record: Record, body: Iterable[bytes]) -> Iterator[bytes]:
    """The body without its encoding, never past a bound."""
    if record.content_encoding is None:
        yield from body
        return
    most = most_unpacked(record.size or 0)

    def over(_seen: int) -> TooLarge:
        return TooLarge(f"it unpacks to more than {most:,} bytes; --raw takes it as it is")

    try:
        yield from decoded(body, record.content_encoding, limit=most, over=over)
    except InvalidInput:
        raise InvalidInput(
            f"it says it is {record.content_encoding}, and is not; --raw takes it as it is"
        ) from None


def closable(body: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The body as a generator, which can be closed before its end."""
    yield from body


def _same_bytes(one: Iterable[bytes], two: Iterable[bytes]) -> bool:
    return _sha256(one) == _sha256(two)


def _sha256(blocks: Iterable[bytes]) -> str:
    actual = sha256()
    for block in blocks:
        actual.update(block)
    return actual.hexdigest()


def _same_type(known: str | None, told: str | None) -> bool:
    """Whether two types are one, as far as they are told. Servers write parameters anew."""
    if known is None or told is None:
        return True
    return known.partition(";")[0].strip().lower() == told.partition(";")[0].strip().lower()
