"""The storage that a reference means which may be of any kind."""

from __future__ import annotations

from typing import Any, NamedTuple

from storectl.cli.context import keeper_of
from storectl.cli.frame import Context
from storectl.errors import InvalidInput, NotFound
from storectl.model.ref import noun_of
from storectl.model.storage import NOUNS, Storage
from storectl.model.store import Store


class Which(NamedTuple):
    """A storage that was found, its noun, and the store it is in."""

    noun: str
    storage: Storage
    store: Store


def one_storage(ctx: Context, text: str, spelled: str = "{}") -> Which:
    """The one storage that REF, NOUN/REF or a URL means. Asks about each noun if none is said.

    spelled: how a clearer reference would be written, for the hint. Raises NotFound,
    and InvalidInput where several are meant.
    """
    nouns, ref = _nouns(text)
    found = []
    for noun in nouns:
        store, opened = ctx.obj.open(ref, noun)
        storage: Any = _described(store, noun, opened, must=len(nouns) == 1)
        if storage is not None:
            found.append(Which(noun, storage, store))
    if len(found) == 1:
        return found[0]
    ctx.obj.opened.clear()  # what was looked for was of no one noun
    if not found:
        raise NotFound(f"no storage '{text}' was found", hint="storectl dataset ls --all")
    raise InvalidInput(
        f"'{text}' may be one of {len(found)} storages",
        hint=" or ".join(spelled.format(f"{each.noun}/{text}") for each in found),
    )


def _nouns(text: str) -> tuple[tuple[str, ...], str]:
    """The nouns to look among, and the reference to look for."""
    if "://" in text:
        named = noun_of(text)
        if named is None:
            raise InvalidInput(f"URL {text!r} leads to no storage")
        return (named,), text
    noun, _, rest = text.partition("/")
    return ((noun,), rest) if noun in NOUNS and rest else (NOUNS, text)


def _described(store: Store, noun: str, ref: str, *, must: bool) -> Storage | None:
    try:
        described: Storage = keeper_of(store, noun).get(ref)
    except NotFound:
        if must:
            raise
        return None
    return described
