"""Profiles, settings and secrets: config.toml and credentials.toml.

Two files, because writing TOML drops comments: config.toml is for people and
changes only when asked; credentials.toml is written by `login` alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from storectl.errors import InvalidInput, Local, NotFound

APIFY = "https://api.apify.com"
"""The server of a token that comes with no server."""

CONFIG = "config.toml"
CREDENTIALS = "credentials.toml"


class Profile(Struct, omit_defaults=True):
    """A server, or a store that is opened in process. Exactly one of the two is set.

    allow_http: send the token over http:// to a host that is not this one.
    """

    server: str | None = None
    store: str | None = None
    allow_http: bool = False


class Interface(Struct, omit_defaults=True):
    """[ui]: how results and progress look. Words are checked where they are used."""

    color: str | None = None
    progress: str | None = None
    accessible: bool | None = None


class Transfer(Struct, omit_defaults=True):
    """[transfer]: how hard to try. Texts are as the flags take them."""

    jobs: int | None = None
    rate: int | str | None = None
    retries: int | None = None
    timeout: str | None = None
    bwlimit: int | str | None = None


class Serving(Struct, omit_defaults=True):
    """[serve]: defaults of `storectl serve`.

    rate_limit: requests a second, in general and for single items: `[30, 200]`,
    `"30/200"` or `"off"`. retention: a time such as `30d`, or `off`. garbage_grace: a
    time. metrics: a port, or `"HOST:PORT"`.
    """

    dir: str | None = None
    rate_limit: tuple[int, int] | str | None = None
    default_access: str | None = None
    retention: str | None = None
    garbage_grace: str | None = None
    workers: int | None = None
    metrics: int | str | None = None


class Config(Struct, omit_defaults=True):
    """What config.toml says. What is absent is None or empty."""

    default_profile: str | None = None
    ui: Interface = field(default_factory=Interface)
    transfer: Transfer = field(default_factory=Transfer)
    serve: Serving = field(default_factory=Serving)
    profiles: dict[str, Profile] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


class Credential(Struct):
    """A token and the only origin it may be sent to."""

    token: str
    origin: str


def folder(environ: Mapping[str, str]) -> Path:
    """Where the two files are: STORECTL_CONFIG_DIR, or the platform's place."""
    chosen = environ.get("STORECTL_CONFIG_DIR")
    if chosen:
        return Path(chosen)
    from platformdirs import user_config_path  # only where no folder is given

    return user_config_path("storectl", appauthor=False)


def default_store() -> Path:
    """The folder of the embedded store where nothing else is said."""
    from platformdirs import user_data_path  # most runs name their store

    return user_data_path("storectl", appauthor=False)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where journals of transfers are: STORECTL_STATE_DIR, or the platform's place."""
    chosen = environ.get("STORECTL_STATE_DIR")
    if chosen:
        return Path(chosen)
    from platformdirs import user_state_path  # only where no folder is given

    return user_state_path("storectl", appauthor=False)


def read_config(where: Path) -> Config:
    """config.toml, or defaults if there is none. Local if it cannot be understood."""
    return _read(where / CONFIG, Config) or Config()


def read_credentials(where: Path) -> dict[str, Credential]:
    """Stored tokens by profile. Local if anyone but the owner could read them."""
    path = where / CREDENTIALS
    check_private(path)
    return _read(path, dict[str, Credential]) or {}


def check_private(path: Path) -> None:
    """Refuse a file that group or others may read."""
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        return
    if os.name == "posix" and mode & 0o077:
        raise Local(
            f"{path} may be read by others (mode {mode:03o}), so its tokens are not used",
            hint=f"chmod 600 {path}",
        )


def write_config(where: Path, config: Config) -> bool:
    """Write config.toml anew; whether comments were lost by it."""
    path = where / CONFIG
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    _write(path, msgspec.to_builtins(config))
    return any(line.lstrip().startswith("#") for line in old.splitlines())


def write_credentials(where: Path, credentials: dict[str, Credential]) -> Path:
    """Write credentials.toml anew, readable by its owner only."""
    path = where / CREDENTIALS
    _write(path, msgspec.to_builtins(credentials))
    return path


def check_profile_name(name: str) -> str:
    """A name that fits before the colon of a reference and as a TOML key."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        return name
    raise InvalidInput(f"Profile name {name!r} may have only letters, digits, - and _")


def profile(config: Config, name: str) -> Profile:
    """The profile of that name, or NotFound naming the ones there are."""
    found = config.profiles.get(name)
    if found is None:
        known = ", ".join(config.profiles) or "none yet"
        raise NotFound(
            f"no profile {name!r} (known: {known})",
            hint=f"storectl profile add {name} --server URL",
        )
    if (found.server is None) == (found.store is None):
        raise Local(f"profile {name!r} must have either a server or a store")
    return found


def words_of_alias(word: str, line: str) -> list[str]:
    """The words that an alias stands for, or InvalidInput."""
    import shlex  # few have an alias

    try:
        return shlex.split(line)
    except ValueError as error:
        raise InvalidInput(
            f"alias {word!r} is {line!r}, which a shell could not read: {error}",
            hint=f"storectl config set aliases.{word} ''",
        ) from None


def absolute(store: str) -> str:
    """The place of a store that means the same in every working folder."""
    return store if "://" in store else os.path.abspath(os.path.expanduser(store))


def server_url(text: str) -> str:
    """A server's address without a trailing slash or `/v2`. InvalidInput if it is none."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not _printable(text):
        raise InvalidInput(
            f"server {text!r} is not an address",
            hint="one such as https://api.apify.com or http://127.0.0.1:8010",
        )
    if parts.username or parts.password:
        raise InvalidInput(
            "server address holds a user or password; leave it out",
            hint="storectl login --server URL",
        )
    path = parts.path.rstrip("/").removesuffix("/v2").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _printable(text: str) -> bool:
    """Whether an address has only characters of one; letters of any script may be in a host."""
    return text.isprintable() and not any(mark in text for mark in ' "<>\\^`{|}')


def check_token(text: str, source: str) -> str:
    """A token that can stand in a header, or InvalidInput naming where it came from."""
    token = text.strip()
    if token and token.isascii() and token.isprintable() and " " not in token:
        return token
    raise InvalidInput(f"{source} is not a token: it has spaces or characters that no token has")


def origin(url: str) -> str:
    """`scheme://host[:port]` in lower case, default ports left out."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def is_loopback(url: str) -> bool:
    """Whether the address is this machine."""
    host = (urlsplit(url).hostname or "").lower()
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))


def _read(path: Path, shape: Any) -> Any:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Local(f"{path} cannot be read: {error.strerror}") from None
    import tomllib  # 5 ms, for whoever has configured something

    try:
        return msgspec.convert(tomllib.loads(text.decode()), shape)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Local(f"{path} is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise Local(f"{path}: {plain(error)}") from None


def plain(error: msgspec.ValidationError) -> str:
    """``Expected `bool`, got `str` - at `$.ui.accessible` `` as `ui.accessible must be …`."""
    what, _, where = str(error).partition(" - at ")
    found = re.fullmatch(r"Expected `(.+?)`, got `(.+?)`", what)
    place = where.strip("`").removeprefix("$.") or "the file"
    if not found:
        return f"{place}: {what}"
    words = {"bool": "true or false", "int": "a whole number", "str": "a text", "object": "a table"}
    wanted = found[1].removesuffix(" | null")
    return f"{place} must be {words.get(wanted, wanted)}, not {words.get(found[2], found[2])}"


def _write(path: Path, value: dict[str, Any]) -> None:
    import tomli_w  # few commands write

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, tomli_w.dumps(_without_none(value)).encode())


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None and v != {}}
    return value


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file in one step: readers see the old or the new one, never a part."""
    path = Path(os.path.realpath(path))  # a link to where settings are kept stays one
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # left by a process of that number, killed on the way
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # not of the temporary file, or of none
        raise
