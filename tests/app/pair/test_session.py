from dataclasses import replace

import pytest

from app.pair import session
from app.pair.selection import PairSelection
from app.pair.session import Place, place
from app.selection import PAGE_SIZE
from featurestore.pair_records import Match, MatchPage

N = 2 * PAGE_SIZE + 20
LISTED = [Match(i, 0, 1000 + i, 0.5, False, None, None, None) for i in range(N)]
FIRST = PairSelection("one", "two", feature=0, beside=1000)


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of which nobody has to write a file."""

    def matches(_: PairSelection, limit: int, offset: int) -> MatchPage:
        return MatchPage(tuple(LISTED[offset : offset + limit]), N)

    monkeypatch.setattr(session, "matches", matches)


def test_next_leads_through_all_pages_and_previous_back() -> None:
    at, walked = FIRST, [FIRST]
    while following := place(at).following:
        assert place(following).previous == at
        at = following
        walked.append(at)
    assert [one.feature for one in walked] == list(range(N))
    assert [one.beside for one in walked] == list(range(1000, 1000 + N))
    assert [one.page for one in walked] == [i // PAGE_SIZE + 1 for i in range(N)]
    assert [place(one).place for one in walked] == list(range(1, N + 1))


def test_what_is_not_on_the_page_has_no_place() -> None:
    assert place(replace(FIRST, page=2)) == Place(None, N)
    assert place(replace(FIRST, beside=7)) == Place(None, N)
    assert place(replace(FIRST, page=99)) == Place(None, N)


@pytest.mark.parametrize(
    ("said", "sides"),
    [
        ("three · sae · not compared", ("three", "two")),
        ("two · sae", ("two", "one")),
        ("one · sae", ("one", "two")),  # sent once more: nothing changes places
    ],
)
def test_whom_a_picker_sets_beside_whom(
    monkeypatch: pytest.MonkeyPatch, said: str, sides: tuple[str, str]
) -> None:
    shown = [FIRST]
    monkeypatch.setattr(session, "_now", lambda: FIRST)
    monkeypatch.setattr(session, "go", shown.append)
    monkeypatch.setattr(session.address, "keep", lambda: None)
    monkeypatch.setattr(session.st, "session_state", {"dictionary": said})
    session.on_picker("dictionary")
    assert shown[-1].sides == sides
