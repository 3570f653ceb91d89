"""Going on after a stop: the option, and what a run that ends early says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from storectl.cli.context import Session
    from storectl.transfer.journal import Journal

Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--restart",
        help="Go on where an earlier run was stopped, or begin anew.",
        show_default=False,
    ),
]


@contextmanager
def resumable(session: Session, journal: Journal, *, resume: bool) -> Iterator[None]:
    """Hold the journal of a transfer; if it ends early, tell the command that goes on.

    resume: false forgets what an earlier run has written there.
    """
    with journal:
        if not resume:
            journal.forget()
        try:
            yield
        except BaseException as error:
            if journal.path.exists():
                error.add_note(f"resume: {session.again('--restart')}")
            raise
