"""storectl access: what others may see of an account, and its general access."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import typer

from storectl.cli.access import PUBLIC
from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun, comma
from storectl.cli.output import Row
from storectl.cli.settings import duration_secs
from storectl.cli.shaping import option
from storectl.cli.storage import LEVELS
from storectl.cli.token import STALE, staleness
from storectl.cli.values import ACCESS_WORDS, Column, plural
from storectl.errors import CheckFailed, InvalidInput, Unsupported
from storectl.model.access import Access
from storectl.model.page import walk
from storectl.model.storage import NOUNS, ListQuery
from storectl.model.store import Store

app = App("Who else may see your storages: a report, and what the account says.")

KINDS = ("public", "shared", "links", "stale")
FOLLOWS = "FOLLOW_USER_SETTING"

COLUMNS = [
    Column("finding", "FINDING"),
    Column("noun", "KIND"),
    Column("id", "ID", whole=True),
    Column("name", "NAME"),
    Column("who", "WHO"),
    Column("what", "WHAT"),
    Column("since", "SINCE", "time"),
]
FIELDS = [*(column.field for column in COLUMNS), "expiresAt", "remedy"]


@app.command("report")
def report(
    ctx: Context,
    public: Annotated[
        bool, typer.Option("--public", help="Only storages that anyone may read.")
    ] = False,
    shared: Annotated[
        bool, typer.Option("--shared", help="Only those that a user was given a right on.")
    ] = False,
    links: Annotated[bool, typer.Option("--links", help="Only signed links that open.")] = False,
    stale: Annotated[
        str | None,
        option("--stale", metavar="TIME", help="Only tokens not used for so long: 90d."),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        option(
            "--fail-on",
            metavar="A,B",
            help="Exit 8 if there is one of these: public, shared, links, stale.",
        ),
    ] = None,
) -> None:
    """List what others may see: public and shared storages, links, stale tokens.

    Of everything that is yours, unless options say of what. A token is stale if it
    was not used for 90 days, or never expires. --json has a remedy for each finding.
    A link is known to the store that made it; of those that a client signs by itself
    nobody knows.

    Examples:
      storectl access report
      storectl access report --fail-on public,stale
    """
    fatal = _kinds(fail_on)
    asked = zip(KINDS, (public, shared, links, stale is not None), strict=True)
    wanted = {kind for kind, given in asked if given} or set(KINDS)
    wanted |= set(fatal)
    secs = duration_secs(stale or STALE, "--stale")
    store = ctx.obj.store()
    found = list(_found(store, wanted, secs))
    ctx.obj.output.listing(
        COLUMNS, FIELDS, found, empty=f"nothing found at {store.label}: {_listed(wanted)}"
    )
    counts = {kind: sum(row["finding"] == kind for row in found) for kind in fatal}
    if any(counts.values()):
        told = ", ".join(f"{kind}: {plural(n, 'finding')}" for kind, n in counts.items() if n)
        raise CheckFailed(told, hint="storectl access report --json=id,remedy")


def _kinds(fail_on: list[str] | None) -> list[str]:
    found = list(comma(fail_on))
    for kind in found:
        if kind not in KINDS:
            raise InvalidInput(f"--fail-on must be of {', '.join(KINDS)}, not {kind!r}")
    return found


def _listed(kinds: set[str]) -> str:
    return "no " + ", ".join(kind for kind in KINDS if kind in kinds)


def _found(store: Store, wanted: set[str], secs: float) -> Iterator[Row]:
    """The findings: storages by creation, then tokens."""
    if wanted - {"stale"}:
        for access in _accesses(store, only_public=wanted == {"public"}):
            if "public" in wanted:
                yield from _public(access)
            if "shared" in wanted:
                yield from _shared(access)
            if "links" in wanted:
                yield from _links(access)
    if "stale" in wanted:
        for token in store.tokens.list():
            why = staleness(token, secs)
            if why:
                yield {
                    "finding": "stale",
                    "noun": "token",
                    "id": token.id,
                    "name": token.name,
                    "who": token.username,
                    "what": ", ".join(why),
                    "since": token.created_at,
                    "expiresAt": token.expires_at,
                    "remedy": f"storectl token revoke {token.id}",
                }


def _accesses(store: Store, *, only_public: bool) -> Iterator[Access]:
    """What the store reports; of a server that has no reports, what its lists tell."""
    try:
        yield from store.access.report()
    except Unsupported as error:
        if not only_public:
            raise Unsupported(
                error.message,
                hint="storectl access report --public, which is all that its API tells",
            ) from None
        yield from _of_lists(store)


def _of_lists(store: Store) -> Iterator[Access]:
    """Every storage with the general access of its own that a listing shows."""
    keepers: tuple[Any, ...] = (store.datasets, store.kvs, store.queues)
    for noun, keeper in zip(NOUNS, keepers, strict=True):

        def fetch(offset: int, keeper: Any = keeper) -> tuple[list[Any], int, int]:
            listed = keeper.list(ListQuery(offset=offset, unnamed=True, ownership="ownedByMe"))
            return listed.items, len(listed.items), listed.total

        for storage in walk(fetch):
            level = storage.general_access
            if level in PUBLIC:
                yield Access(
                    noun=noun,
                    id=storage.id,
                    name=storage.name,
                    username=storage.username or "",
                    general_access=level,
                    effective_access=level,
                )


def _public(access: Access) -> Iterator[Row]:
    level = access.effective_access
    if level in PUBLIC or level == FOLLOWS:
        what = {
            "ANYONE_WITH_ID_CAN_READ": "by ID",
            "ANYONE_WITH_NAME_CAN_READ": "by ID and name",
        }.get(level, "as a server's --default-access says")
        if access.general_access == FOLLOWS and level != FOLLOWS:
            what += ", as the account says"
        yield _row("public", access, who="anyone", what=what) | {
            "remedy": f"storectl {access.noun} access set {access.id} restricted"
        }


def _shared(access: Access) -> Iterator[Row]:
    for grant in access.grants:
        yield _row("shared", access, who=grant.username, what=grant.right) | {
            "since": grant.created_at,
            "remedy": f"storectl {access.noun} access revoke {access.id} {grant.username}",
        }


def _links(access: Access) -> Iterator[Row]:
    for link in access.links:
        opens = f"record '{link.key}'" if link.key else "all of it"
        until = f"until {_day(link.expires_at)}" if link.expires_at else "for ever"
        yield _row("links", access, who="who has it", what=f"{opens}, {until}") | {
            "since": link.created_at,
            "expiresAt": link.expires_at,
            "remedy": f"storectl {access.noun} link {access.id} --revoke-all",
        }


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d}"


def _row(finding: str, access: Access, *, who: str, what: str) -> Row:
    return {
        "finding": finding,
        "noun": access.noun,
        "id": access.id,
        "name": access.name,
        "who": who,
        "what": what,
        "since": None,
        "expiresAt": None,
    }


AccountLevel = Literal["restricted", "id", "inherit"]
DEFAULT = [Column("username", "User"), Column("defaultAccess", "General access", "access")]
DEFAULT_MEANS = {
    "restricted": "nobody else may read them",
    "id": "anyone who knows the ID of one may read it",
    "inherit": "the server says (its --default-access)",
}


@app.command("default")
def default(
    ctx: Context,
    level: Annotated[
        AccountLevel | None,
        typer.Argument(
            metavar="LEVEL", help="restricted, id or inherit; none shows it.", show_default=False
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Show or set who may read the storages of the account that do not say.

    restricted: nobody else. id: anyone who knows the ID. inherit: as the server says.
    A storage with a level of its own keeps that; see storectl dataset access set.

    Examples:
      storectl access default
      storectl access default restricted
    """
    tokens = ctx.obj.store().tokens
    if dry_run and level is None:
        raise InvalidInput("--dry-run goes with a level", hint="storectl access default restricted")
    if level is None or dry_run:
        user = tokens.me()
    else:
        user = tokens.update_me(default_access=None if level == "inherit" else LEVELS[level])
    row = {"username": user.username, "defaultAccess": user.default_access or FOLLOWS}
    word = ACCESS_WORDS.get(row["defaultAccess"], row["defaultAccess"])
    if level is None:
        ctx.obj.output.record(DEFAULT, list(row), row, ident="defaultAccess")
        return
    sentence = f"Storages of {user.username} that follow the account"
    if dry_run:
        sentence += f" would be {level}, they are {word}"
    else:
        sentence += f" are now {level}: {DEFAULT_MEANS[level]}"
    ctx.obj.output.did(sentence, user.username, row)
