"""A store: the keepers of the three nouns and of the tokens, held together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

if TYPE_CHECKING:  # a command about one noun loads no other
    from storectl.model.access import AccessRights
    from storectl.model.dataset import Datasets
    from storectl.model.kvs import KeyValueStores
    from storectl.model.limits import Rates
    from storectl.model.queue import Queues
    from storectl.model.token import Caller, Tokens, User

Done = TypeVar("Done")


def is_postgres(place: str) -> bool:
    """Whether a store is in a PostgreSQL, rather than in a folder."""
    return place.startswith(("postgresql://", "postgres://"))


class Store(Protocol):
    """Where storages are kept, seen by one user. Made by engine/ or by client/."""

    @property
    def datasets(self) -> Datasets: ...
    @property
    def kvs(self) -> KeyValueStores: ...
    @property
    def queues(self) -> Queues: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def access(self) -> AccessRights: ...

    @property
    def label(self) -> str:
        """Where and who, for people: `janedoe @ data.example.com`."""
        ...

    def close(self) -> None: ...


class Place(Struct, frozen=True):
    """Whose storage a ref leads to, who may read it, and what one user may do there.

    right: of the user for whom it was located, as in model/access.py; None is none.
    token_id: the token that created it, if one with a scope did.
    """

    id: str
    user_id: str
    general_access: str
    """An account's setting is resolved; FOLLOW_USER_SETTING is left if it has none."""
    secret: str
    """The key that URL signatures of this storage are made with."""
    right: str | None = None
    token_id: str | None = None


class TakesLong(Exception):
    """This cannot be done here, where others wait; nothing was done. Do it elsewhere."""


class Served(Store, Protocol):
    """A store that a server can speak for: it knows users by their tokens."""

    def caller(self, token: str) -> Caller | None:
        """Who the token speaks for, or None if it is unknown, revoked or expired."""
        ...

    def acting(self, caller: Caller | None) -> Store:
        """The same store, seen by another user; None sees nothing of its own."""
        ...

    def locate(self, noun: str, ref: str, user: User | None) -> Place:
        """The storage that a ref means to this user. NotFound if there is none."""
        ...

    def now_ms(self) -> int:
        """The time by the store's clock: milliseconds since 1970, UTC."""
        ...

    def rates(self) -> Rates:
        """Who counts requests for all processes that serve this store. Local if none can."""
        ...

    def retain(self, secs: int | None) -> None:
        """Keep storages without a name for so long after their last access; None: for ever.

        The store remembers it, for all who open it.
        """
        ...

    def keep_garbage(self, secs: int) -> None:
        """Keep the bytes of large records for so long after they are replaced or deleted.

        The store remembers it, as the retention.
        """
        ...

    def sweep(self) -> int:
        """Remove what is over, unless another process is at it; how many storages expired.

        Raises Conflict if the store was moved to another place: who serves it has to end.
        """
        ...

    def prepare(self) -> None:
        """Raise now what would be wrong with the first call: a server is about to start."""
        ...

    def hurry(self) -> None:
        """From now on what has to write raises TakesLong in the thread that calls this."""
        ...

    def together(self, works: Sequence[Callable[[], Done]]) -> list[Done]:
        """Run pieces of work, each of which may write, with few commits; all is durable then.

        The failure of one undoes what it wrote, and has to be caught by it. A folder makes
        one commit of all, and raises what keeps it from being made: then nothing is written.
        A PostgreSQL makes one of what goes to the same storage at once.
        """
        ...

    def ping(self) -> None:
        """Return if the store can answer."""
        ...
