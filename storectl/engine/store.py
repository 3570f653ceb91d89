"""A store: its database, its blobs, and the keepers over both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING

from storectl.engine.db import Db, statements
from storectl.engine.memory import Memory
from storectl.engine.place import MARK, BlobPlace, check_open
from storectl.engine.reads import Reads
from storectl.engine.retention import Retention
from storectl.engine.token import Tokens, make_user
from storectl.errors import Internal, Local, NotFound, Unavailable
from storectl.model import rules
from storectl.model.ref import Ref
from storectl.model.store import Done, Place
from storectl.model.token import Caller, User

if TYPE_CHECKING:
    from storectl.engine.access import AccessRights
    from storectl.engine.dataset import Datasets
    from storectl.engine.kvs import KeyValueStores
    from storectl.engine.queue import Queues
    from storectl.engine.sweep import Sweep
    from storectl.model.limits import Rates

FLUSH_SECS = 5.0
SWEEP_SECS = 0.1
"""How long a command that is done goes on to sweep."""

MOST_VIEWS = 1000


class View:
    """The store seen by one caller: the keepers, each imported when it is asked."""

    def __init__(
        self,
        db: Db,
        blobs: BlobPlace,
        caller: Caller | None,
        reads: Reads,
        clock: Callable[[], int] = rules.now_ms,
        *,
        administrator: bool = False,
    ) -> None:
        self._db, self.blobs, self._reads, self.now_ms = db, blobs, reads, clock
        self._caller = caller
        self._user = caller.user if caller else None
        self._token_id = caller.token_id if caller and caller.scope else None
        self._administrator = administrator

    @cached_property
    def datasets(self) -> Datasets:
        from storectl.engine.dataset import Datasets

        return Datasets(self._db, self._user, self._reads, self.now_ms, self._token_id)

    @cached_property
    def kvs(self) -> KeyValueStores:
        from storectl.engine.kvs import KeyValueStores

        return KeyValueStores(
            self._db, self._user, self._reads, self.blobs, self.now_ms, self._token_id
        )

    @cached_property
    def queues(self) -> Queues:
        from storectl.engine.queue import Queues

        return Queues(self._db, self._user, self._reads, self.now_ms, self._token_id)

    def keeper(self, noun: str) -> Datasets | KeyValueStores | Queues:
        """The keeper of a noun by its name."""
        if noun == "dataset":
            return self.datasets
        return self.kvs if noun == "kvs" else self.queues

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self._db, self._caller, administrator=self._administrator, clock=self.now_ms)

    @cached_property
    def access(self) -> AccessRights:
        from storectl.engine.access import AccessRights

        return AccessRights(self._db, self._user, self.keeper, self.now_ms)

    @property
    def label(self) -> str:
        return self._user.username if self._user else "nobody"

    def close(self) -> None:
        """Views share the store, which is closed by itself."""


class EngineStore(View):
    """The store itself, as its owner sees it; see model/store.py `Served`.

    place: where it is, for people. rates: opens what counts requests for all processes.
    clock: milliseconds since 1970, for all that the store does and its server says.
    """

    def __init__(
        self,
        db: Db,
        blobs: BlobPlace,
        rates: Callable[[], Rates],
        *,
        place: str,
        username: str,
        clock: Callable[[], int] = rules.now_ms,
    ) -> None:
        check_open(db)
        owner = Caller(make_user(db, username), "")
        super().__init__(db, blobs, owner, Reads(), clock, administrator=True)
        self.place = place
        self._views: dict[tuple[str, str], View] = {}
        self._nobody = View(db, blobs, None, self._reads, clock)
        self._ids = Memory(db)
        self._places = Memory(db, rights=True)
        self._open_rates = rates
        self._rates: Rates | None = None
        self._flushed = time.monotonic()
        self._sql = statements("storage", db.dialect)

    @property
    def label(self) -> str:
        return f"{self.tokens.me().username} @ {self.place}"

    def caller(self, token: str) -> Caller | None:
        return self.tokens.caller(token)

    def acting(self, caller: Caller | None) -> View:
        if caller is None:
            return self._nobody
        key = caller.user.id, caller.token_id
        view = self._views.get(key)
        if view is None or view._caller != caller:
            if len(self._views) >= MOST_VIEWS:
                self._views = {}
            view = View(self._db, self.blobs, caller, self._reads, self.now_ms)
            self._views[key] = view
        return view

    def locate(self, noun: str, ref: str, user: User | None) -> Place:
        user_id = user.id if user else None
        id = Ref.parse(ref).id
        if id is None:
            id = self._ids.recall((noun, ref, user_id), partial(self._id, noun, ref, user))
        key = noun, id, user_id
        return self._places.recall(key, partial(self._locate, noun, id, user_id, ref))

    def _id(self, noun: str, ref: str, user: User | None) -> str:
        """The ID of the storage that a user means."""
        seen = self.acting(Caller(user, "") if user else None)
        return seen.keeper(noun).find(ref).id

    def _locate(self, noun: str, id: str, user_id: str | None, ref: str) -> Place:
        row = self._db.one(self._sql["place"], id=id, noun=noun, user_id=user_id)
        if row is None:
            raise NotFound.of(noun, ref)
        return Place(*row)

    @cached_property
    def retention(self) -> Retention:
        """How long storages without a name are kept."""
        return Retention(self._db, self.now_ms)

    def retain(self, secs: int | None) -> None:
        self.retention.keep(secs)

    def keep_garbage(self, secs: int) -> None:
        self.retention.keep_garbage(secs)

    def rates(self) -> Rates:
        if self._rates is None:
            self._rates = self._open_rates()
        return self._rates

    def sweep(self) -> int:
        check_open(self._db)
        sweep = self._sweep
        return sweep.run() if sweep.leads() else 0

    @cached_property
    def _sweep(self) -> Sweep:
        from storectl.engine.sweep import Sweep  # most commands sweep nothing

        return Sweep(self._db, self.blobs, self.keeper, self.now_ms)

    def prepare(self) -> None:
        self.blobs.has(MARK)

    def hurry(self) -> None:
        self._db.hurry()
        self.blobs.hurry()

    def together(self, works: Sequence[Callable[[], Done]]) -> list[Done]:
        return self._db.together(works)

    def ping(self) -> None:
        self._db.one("SELECT 1")
        if time.monotonic() - self._flushed > FLUSH_SECS:
            self.flush()

    def flush(self) -> None:
        """Count the reads so far in the database."""
        self._reads.flush(self._db)
        self._flushed = time.monotonic()

    def close(self) -> None:
        with suppress(Unavailable):  # a database that is away counts no reads
            self._reads.flush(self._db)
        self._sweep_a_little()
        if self._rates is not None:
            self._rates.close()
        self._db.close()

    def _sweep_a_little(self) -> None:
        """Where no server runs, the commands sweep: if there is anything, and not for long."""
        try:
            if "_sweep" in self.__dict__:
                self._sweep.stop()
            elif self.retention.is_due():
                self._sweep.run(SWEEP_SECS)
        except (Local, Unavailable, Internal):  # the command is done, whatever happens here
            return
