"""One run of the command line. The one place that knows engine/ and client/."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from storectl import config as conf
from storectl.cli import ALIASES, COMMANDS
from storectl.cli.flags import Flags
from storectl.cli.output import Output
from storectl.cli.settings import Settings, settle
from storectl.cli.target import Chooser, Target, store_place
from storectl.config import Config, Credential
from storectl.errors import InvalidInput, NotFound
from storectl.model import rules
from storectl.model.ref import typed

if TYPE_CHECKING:
    from storectl.model.storage import Storages
    from storectl.model.store import Served, Store
    from storectl.model.upkeep import Copied, Scope, Step, Upkeep
    from storectl.transfer.journal import Journal


class Opened(NamedTuple):
    """A storage that a command asked for: what was typed, what it resolved to, and where.

    remedy: what to try if it is not there.
    """

    noun: str
    text: str
    ref: str
    store: Store
    remedy: str | None = None


class Session:
    """The settings of a run, its voice, and the stores it opened. Commands have it as ctx.obj.

    secrets: tokens in use, which must not be shown. args: the words of the command line.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.flags: Flags = {}
        self.opened: list[Opened] = []
        self.secrets: list[str] = []
        self.args: list[str] = []
        self._stores: dict[Target, Store] = {}

    @cached_property
    def folder(self) -> Path:
        """Where config.toml and credentials.toml are."""
        return conf.folder(self.environ)

    @cached_property
    def config(self) -> Config:
        return conf.read_config(self.folder)

    @cached_property
    def credentials(self) -> dict[str, Credential]:
        return conf.read_credentials(self.folder)

    @cached_property
    def settings(self) -> Settings:
        return settle(self.flags, self.environ, self.config)

    @cached_property
    def output(self) -> Output:
        return Output(self.settings, retried=self.retried)

    @cached_property
    def chooser(self) -> Chooser:
        """Decides where a run goes."""
        return Chooser(
            self.flags, self.environ, self.config, lambda: self.credentials, conf.default_store
        )

    def store(self, target: Target | None = None) -> Store:
        """The store of a target, by default the one that flags, environment and config lead to.

        Opened once per run, and closed at its end.
        """
        if target is None:
            target = self.chooser.choose()
        if target not in self._stores:
            self._stores[target] = self._open(target)
        return self._stores[target]

    def upkeep(self, target: Target) -> Upkeep:
        """What checks, mends and copies the store of a target. Opens nothing yet."""
        from storectl.engine import look_after

        return look_after(str(target.store))

    def move(self, source: str, target: str, blobs: str | None) -> Iterator[Scope | Step | Copied]:
        """Move a store to another place; large records to `blobs`."""
        from storectl.engine.move import move

        from_place = store_place(source, "SOURCE", os.environ)
        return move(from_place, store_place(target, "TARGET", os.environ), blobs)

    def release(self, source: str) -> bool:
        """Let a store be used again that a move has left; False if none has."""
        from storectl.engine.move import release

        return release(store_place(source, "SOURCE", os.environ))

    @property
    def reached(self) -> Target | None:
        """Where the store is that was opened last."""
        return next(reversed(self._stores), None)

    def open(self, text: str, noun: str, *, remedy: str | None = None) -> tuple[Store, str]:
        """The store that a typed reference leads to, and the ref to ask it with.

        noun: dataset, kvs or queue. remedy: what to try if it is not there. A word
        that may be an ID or a name costs one request to find out; anything else
        costs none. Raises InvalidInput for what is no reference; NotFound comes
        later, from the store.
        """
        wanted = typed(text, noun)
        if wanted.profile is not None:
            store = self.store(self.chooser.profile(wanted.profile))
        elif wanted.origin is not None:
            store = self.store(self.chooser.origin(wanted.origin))
        else:
            store = self.store()
        keeper = keeper_of(store, noun)
        ref = wanted.candidates[-1]
        for candidate in wanted.candidates[:-1]:
            try:
                keeper.get(candidate)
            except NotFound:
                continue
            ref = candidate
            break
        self.opened.append(Opened(noun, text, ref, store, remedy))
        return store, ref

    def place(self, text: str | None) -> tuple[Store, str | None]:
        """The store for a storage that is to be made, and its name: PROFILE: may lead it."""
        profile, _, name = (text or "").rpartition(":")
        name = name.removeprefix("~")
        if text is not None:
            rules.check_name(name)
        store = self.store(self.chooser.profile(profile) if profile else None)
        return store, name or None

    def journal(self, verb: str, store: Store, **job: object) -> Journal:
        """The journal of a transfer with a store. job: what else identifies it, as JSON values."""
        from storectl.transfer.journal import Journal

        target = self._target(store)
        place = target.server or conf.absolute(target.place)
        return Journal(conf.state_folder(self.environ), verb, {"place": place, **job})

    def jobs(self, store: Store) -> int:
        """How many calls at once make sense; 0 where the store is in this process."""
        return self.settings.jobs if self._target(store).server else 0

    def server(self, store: Store) -> str | None:
        """The address of the server that a store is behind; None for one in this process."""
        return self._target(store).server

    def extensions(self, store: Store) -> frozenset[str]:
        """What the server that a store is behind offers beyond the API."""
        return getattr(store, "extensions", frozenset())

    def retried(self) -> int:
        """How often calls of servers were made again in this run."""
        return sum(getattr(store, "retried", 0) for store in self._stores.values())

    def again(self, *without: str) -> str:
        """This command line to be pasted, without some words."""
        import shlex  # for transfers that end early

        words = [word for word in self.args if word not in without]
        return shlex.join(["storectl", *words])

    def _target(self, store: Store) -> Target:
        return next(target for target, known in self._stores.items() if known is store)

    def expand_alias(self, args: list[str]) -> list[str]:
        """Replace a first word that is an alias of config.toml; commands come before those."""
        if not args or args[0].startswith("-") or args[0] in COMMANDS or args[0] in ALIASES:
            return args
        alias = self.config.aliases.get(args[0])
        if not alias:
            return args
        return conf.words_of_alias(args[0], alias) + args[1:]

    def debug(self, text: str) -> None:
        """Say something on stderr under --debug, without secrets."""
        if self.settings.debug:
            from storectl.cli.failure import redacted

            print(f"debug: {redacted(text, self.secrets)}", file=sys.stderr)

    def close(self) -> None:
        """Close every store that was opened."""
        stores, self._stores = list(self._stores.values()), {}
        for store in stores:
            store.close()

    def probe(self, target: Target) -> Mapping[str, str]:
        """Ask a server who its token speaks for, once, and return the head of its answer."""
        from storectl.client.http import Http
        from storectl.model.token import ME

        timeout_secs = min(self.settings.timeout_secs, 10.0)
        http = Http(str(target.server), target.token, retries=0, timeout_secs=timeout_secs)
        try:
            return dict(http.send(ME).headers)
        finally:
            http.close()

    def call(
        self,
        target: Target,
        method: str,
        path: str,
        *,
        query: dict[str, str],
        headers: dict[str, str],
        body: bytes | None,
    ) -> tuple[Mapping[str, str], Iterator[bytes]]:
        """Call a server: the head of its answer, and the body as it comes."""
        from storectl.client.http import reading
        from storectl.client.store import ClientStore
        from storectl.model.endpoint import Endpoint

        store = self.store(target)
        assert isinstance(store, ClientStore)
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers = {**headers, "Content-Type": "application/json"}
        endpoint = Endpoint(method, path.replace("{", "%7B").replace("}", "%7D"), "server")
        answer = store.http.send(endpoint, query=query, content=body, headers=headers, stream=True)
        return answer.headers, reading(answer, store.http.host)

    def _open(self, target: Target) -> Store:
        if target.store is not None:
            from storectl.engine import open_store

            if target.chosen_by == "default":
                self.output.note(
                    f"using the store in {target.store}; --store or --profile choose another"
                )
            return open_store(target.store)
        from storectl.client import open_store as open_remote

        if target.token:
            self.secrets.append(target.token)
        debug = self.debug if self.settings.debug else None
        return open_remote(
            str(target.server),
            target.token,
            retries=self.settings.retries,
            timeout_secs=self.settings.timeout_secs,
            rate=self.settings.rate,
            part=self.settings.part,
            bytes_a_sec=self.settings.bytes_a_sec,
            jobs=self.settings.jobs,
            debug=debug,
            waiting=self.output.note,
        )


def opener(place: str, blobs: str | None = None) -> Callable[[], Served]:
    """What opens the store of a folder or URL, in whichever process calls it.

    blobs: where large records go, for a store that was not told yet.
    """
    from functools import partial

    from storectl.engine import open_store

    return partial(open_store, place, blobs=blobs)


def keeper_of(store: Store, noun: str) -> Storages[Any]:
    """The keeper of one noun."""
    keepers = {"dataset": "datasets", "kvs": "kvs", "queue": "queues"}
    if noun not in keepers:
        raise InvalidInput(f"{noun!r} is no kind of storage")
    keeper: Storages[Any] = getattr(store, keepers[noun])
    return keeper
