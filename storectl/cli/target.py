"""Where a run goes: a store in this process, or a server with a token. Decides, opens nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from storectl import config as conf
from storectl.cli.flags import Flags
from storectl.config import APIFY, Config, Credential
from storectl.errors import InvalidInput, Local
from storectl.model.store import is_postgres

SERVER_VARIABLES = ("STORECTL_SERVER", "APIFY_API_BASE_URL", "APIFY_CLIENT_BASE_URL")

APIFY_CONSOLE = "https://console.apify.com"

CONSOLE = {APIFY_CONSOLE: APIFY}
"""Where the API of a web console answers."""


class Target(Struct, frozen=True, kw_only=True):
    """A store or a server; exactly one of the two is set.

    chosen_by: the flag, variable, profile or rule that decided, for people.
    token_source: where the token comes from, without the token.
    """

    store: str | None = None
    server: str | None = None
    token: str | None = None
    token_source: str | None = None
    profile: str | None = None
    chosen_by: str = ""

    @property
    def place(self) -> str:
        """The folder or the address, without a password."""
        return self.store or self.server or ""


def store_place(place: str, source: str, environ: MutableMapping[str, str]) -> str:
    """A store as it was named, for a PostgreSQL without the password.

    That of a variable goes on to PGPASSWORD, where libpq looks: what is shown, logged and
    written down from here on cannot hold it. Elsewhere a password is refused, with the
    name of what it came from.
    """
    if not is_postgres(place):
        return place
    parts = urlsplit(place)
    query = parse_qsl(parts.query, keep_blank_values=True)
    found = [unquote(parts.password)] if parts.password else []
    found += [value for name, value in query if name in ("password", "sslpassword")]
    if not found:
        return place
    if source != "STORECTL_STORE" or len(found) > 1:
        raise InvalidInput(
            f"{source} holds a password, which others can read there",
            hint="set PGPASSWORD, or name a file that holds it with PGPASSFILE",
        )
    environ["PGPASSWORD"] = found[0]
    who, _, where = parts.netloc.rpartition("@")
    netloc = f"{who.partition(':')[0]}@{where}" if who else where
    kept = urlencode([(name, value) for name, value in query if name != "password"], safe="/")
    return urlunsplit(parts._replace(netloc=netloc, query=kept))


class Chooser:
    """The rules of precedence: flag, then environment, then config.toml, then built in.

    credentials: reads credentials.toml, called only if a stored token may be used.
    default_store: the folder of the embedded store, called only if nothing is set.
    """

    def __init__(
        self,
        flags: Flags,
        environ: Mapping[str, str],
        config: Config,
        credentials: Callable[[], dict[str, Credential]],
        default_store: Callable[[], Path],
    ) -> None:
        self.flags, self.environ, self.config = flags, environ, config
        self.credentials, self.default_store = credentials, default_store

    def choose(self) -> Target:
        """Where the flags, the environment and config.toml lead."""
        store, server, profile = (self.flags.get(name) for name in ("store", "server", "profile"))
        if store and (server or profile):
            raise InvalidInput(
                f"--store and --{'server' if server else 'profile'} exclude each other"
            )
        if store:
            return self._store(store, "--store")
        if server:
            return self._server(server, "--server", profile)
        if profile:
            return self.profile(profile)
        if self.environ.get("STORECTL_STORE"):
            return self._store(self.environ["STORECTL_STORE"], "STORECTL_STORE")
        for variable in SERVER_VARIABLES:
            if self.environ.get(variable):
                named = self.environ.get("STORECTL_PROFILE")
                return self._server(self.environ[variable], variable, named)
        return self._without_a_place()

    def profile(self, name: str, *, explicit: bool = True) -> Target:
        """A profile by name. One chosen on the command line uses its own token first."""
        found = conf.profile(self.config, name)
        why = f"profile {name}"
        if found.store is not None:
            place = store_place(found.store, f"{conf.CONFIG} [profiles.{name}]", os.environ)
            return Target(store=place, profile=name, chosen_by=why)
        server = conf.server_url(str(found.server))
        self.check_http(server, found.allow_http)
        token, source = self._stored(name, server) if explicit else (None, None)
        if token is None:
            token, source = self._from_environment()
        if token is None:
            token, source = self._stored(name, server)
        return Target(server=server, token=token, token_source=source, profile=name, chosen_by=why)

    def origin(self, origin: str) -> Target:
        """The server that a URL names: the chosen one, a profile's, this machine, or Apify's."""
        origin = conf.origin(CONSOLE.get(origin, origin))
        chosen = self.choose()
        if chosen.server and conf.origin(chosen.server) == origin:
            return chosen
        for name, profile in self.config.profiles.items():
            if profile.server and conf.origin(profile.server) == origin:
                return self.profile(name)
        if conf.is_loopback(origin) or origin == APIFY:
            return Target(server=origin, chosen_by="the URL")
        raise InvalidInput(
            f"{origin} is the server of no profile",
            hint=f"storectl profile add NAME --server {origin}",
        )

    def _without_a_place(self) -> Target:
        if self.environ.get("STORECTL_PROFILE"):
            return self.profile(self.environ["STORECTL_PROFILE"], explicit=False)
        if self.config.default_profile:
            return self.profile(self.config.default_profile, explicit=False)
        if any(
            self.environ.get(v) for v in ("STORECTL_TOKEN", "STORECTL_TOKEN_FILE", "APIFY_TOKEN")
        ):
            token, source = self._from_environment()
            return Target(
                server=APIFY, token=token, token_source=source, chosen_by=f"{source} is set"
            )
        return Target(store=str(self.default_store()), chosen_by="default")

    def _store(self, place: str, why: str) -> Target:
        return Target(store=store_place(place, why, os.environ), chosen_by=why)

    def _server(self, url: str, why: str, profile: str | None) -> Target:
        """A server that was named. A stored token is only for its own origin."""
        server = conf.server_url(url)
        origin = conf.origin(server)
        names = [profile] if profile else [
            name for name, p in self.config.profiles.items()
            if p.server and conf.origin(p.server) == origin
        ]  # fmt: skip
        if self.config.default_profile in names:
            names = [str(self.config.default_profile)]
        allowed = any(
            p.allow_http
            for p in self.config.profiles.values()
            if p.server and conf.origin(p.server) == origin
        )
        self.check_http(server, allowed)
        token, source = self._from_environment()
        if token is None and names:
            token, source = self._stored(names[0], server)
        return Target(
            server=server,
            token=token,
            token_source=source,
            profile=names[0] if names else None,
            chosen_by=why,
        )

    def _stored(self, name: str, server: str) -> tuple[str | None, str | None]:
        found = self.credentials().get(name)
        if found is None or found.origin != conf.origin(server):
            return None, None
        return found.token, f"{conf.CREDENTIALS} [{name}]"

    def _from_environment(self) -> tuple[str | None, str | None]:
        if token := self.environ.get("STORECTL_TOKEN"):
            return conf.check_token(token, "STORECTL_TOKEN"), "STORECTL_TOKEN"
        if path := self.environ.get("STORECTL_TOKEN_FILE"):
            try:
                token = Path(path).read_text(encoding="utf-8", errors="replace").strip()
            except OSError as error:
                why = error.strerror or str(error)
                raise Local(
                    f"STORECTL_TOKEN_FILE {path!r} cannot be read: {why[:1].lower()}{why[1:]}"
                ) from None
            if not token:
                raise Local(f"STORECTL_TOKEN_FILE {path!r} is empty")
            name = "STORECTL_TOKEN_FILE"
            return conf.check_token(token, name), name
        if token := self.environ.get("APIFY_TOKEN"):
            return conf.check_token(token, "APIFY_TOKEN"), "APIFY_TOKEN"
        return None, None

    @staticmethod
    def check_http(server: str, allowed: bool) -> None:
        """Refuse to send a token over a network that others can read."""
        if server.startswith("http://") and not allowed and not conf.is_loopback(server):
            raise InvalidInput(
                f"{server} is not encrypted, and only this machine is reached without",
                hint=f"storectl profile add NAME --server {server} --allow-http",
            )
