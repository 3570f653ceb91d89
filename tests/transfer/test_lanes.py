"""Work that is done beside."""

from __future__ import annotations

from threading import Event

import pytest

from storectl.transfer.lanes import Aside


def test_pieces_are_done_one_after_the_other() -> None:
    done: list[int] = []
    aside = Aside("test")

    for n in range(100):
        aside.start(lambda n=n: done.append(n))
    aside.wait()

    assert done == list(range(100))
    aside.close()


def test_what_a_piece_raises_is_raised_where_it_is_waited_for() -> None:
    aside = Aside("test")

    aside.start(lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        aside.wait()
    aside.wait()
    aside.close()


def test_it_is_busy_until_the_piece_is_done() -> None:
    aside, go_on = Aside("test"), Event()

    aside.start(go_on.wait)

    assert aside.busy
    go_on.set()
    aside.wait()
    assert not aside.busy
    aside.close()
