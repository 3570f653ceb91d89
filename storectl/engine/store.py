"""A store in a folder: its database, its blobs, and the keepers over both."""

from __future__ import annotations

import time
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from storectl.engine.db import Db, statements
from storectl.engine.memory import Memory
from storectl.engine.sqlite import SqliteDb
from storectl.engine.storage import Reads
from storectl.engine.token import Tokens, make_user, to_user
from storectl.errors import NotFound
from storectl.model.ref import Ref
from storectl.model.store import Place
from storectl.model.token import User

if TYPE_CHECKING:
    from storectl.engine.dataset import Datasets
    from storectl.engine.kvs import KeyValueStores
    from storectl.engine.queue import Queues

FLUSH_SECS = 5.0


class View:
    """The store seen by one user: the four keepers, each imported when it is asked."""

    def __init__(
        self, db: Db, folder: Path, user: User | None, reads: Reads, *, administrator: bool = False
    ) -> None:
        self._db, self.folder, self._user, self._reads = db, folder, user, reads
        self._administrator = administrator

    @cached_property
    def datasets(self) -> Datasets:
        from storectl.engine.dataset import Datasets

        return Datasets(self._db, self._user, self._reads)

    @cached_property
    def kvs(self) -> KeyValueStores:
        from storectl.engine.files import Files
        from storectl.engine.kvs import KeyValueStores

        return KeyValueStores(self._db, self._user, self._reads, Files(self.folder / "blobs"))

    @cached_property
    def queues(self) -> Queues:
        from storectl.engine.queue import Queues

        return Queues(self._db, self._user, self._reads)

    def keeper(self, noun: str) -> Datasets | KeyValueStores | Queues:
        """The keeper of a noun by its name."""
        if noun == "dataset":
            return self.datasets
        return self.kvs if noun == "kvs" else self.queues

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self._db, self._user, administrator=self._administrator)

    @property
    def label(self) -> str:
        return self._user.username if self._user else "nobody"

    def close(self) -> None:
        """Views share the store, which is closed by itself."""


class EngineStore(View):
    """The store itself, as its owner sees it; see model/store.py `Served`."""

    def __init__(self, folder: Path, username: str) -> None:
        db = SqliteDb(folder)
        row = db.one(statements("token", db.dialect)["user_by_name"], username=username)
        user = to_user(row) if row else make_user(db, username)
        super().__init__(db, folder, user, Reads(), administrator=True)
        self._views: dict[str | None, View] = {}
        self._memory = Memory(db)
        self._flushed = time.monotonic()
        self._sql = statements("storage", db.dialect)

    @property
    def label(self) -> str:
        return f"{self.tokens.me().username} @ {self.folder}"

    def caller(self, token: str) -> User | None:
        return self.tokens.caller(token)

    def acting(self, user: User | None) -> View:
        key = user.id if user else None
        view = self._views.get(key)
        if view is None or view._user != user:
            view = View(self._db, self.folder, user, self._reads)
            self._views[key] = view
        return view

    def locate(self, noun: str, ref: str, user: User | None) -> Place:
        key = noun, ref, user.id if user else None
        return self._memory.recall(key, partial(self._locate, noun, ref, user))

    def _locate(self, noun: str, ref: str, user: User | None) -> Place:
        parsed = Ref.parse(ref)
        id = parsed.id
        if id is None:
            id = self.acting(user).keeper(noun).find(ref).id
        row = self._db.one(self._sql["place"], id=id, noun=noun)
        if row is None:
            raise NotFound.of(noun, ref)
        return Place(*row)

    def ping(self) -> None:
        self._db.one("SELECT 1")
        if time.monotonic() - self._flushed > FLUSH_SECS:
            self.flush()

    def flush(self) -> None:
        """Count the reads so far in the database."""
        self._flushed = time.monotonic()
        self._reads.flush(self._db)

    def close(self) -> None:
        self._reads.flush(self._db)
        self._db.close()
