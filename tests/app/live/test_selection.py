import random
from dataclasses import replace
from urllib.parse import parse_qs, urlencode

import pytest

from app.live.ranking import ContrastBy, RankBy
from app.live.selection import (
    LiveSelection,
    LiveTab,
    choosing,
    params,
    read,
    with_edit,
    without_edit,
)
from app.live.texts import TextMemory
from app.selection import RANGES
from featurestore.live.records import Edit
from featurestore.records import FeatureQuery, Flag, TokenRole

KNOWN = ("a", "b.2", "resid-2-topk", "Z_9")
PLAIN = LiveSelection(("a",), query=FeatureQuery("a", include_dead=True))
FULL = LiveSelection(
    ("resid-2-topk", "a"),
    text='line one\r\n\tline & two = 3?#%41+ "é😀\u202e\0',
    other="another",
    context=7,
    special=True,
    tab="intervene",
    by="at",
    tokens=(3, 7, 8, 9),
    of="a",
    contrast_by="mean",
    query=FeatureQuery(
        "resid-2-topk",
        ranges=(("density", None, 0.01), ("kurtosis", -2.5, 1e30)),
        flags=frozenset({Flag.DENSE, Flag.NONFINITE}),
        include_dead=True,
        token='" the"',
        role="peaks on",
    ),
    page=3,
    feature=("resid-2-topk", 416),
    edits=(
        Edit("a", 5, "ablate"),
        Edit("a", 5, "scale", -2.5, (0,)),
        Edit("resid-2-topk", 2**31 - 1, "clamp", 1e-300, (3, 7, 8, 9)),
    ),
    seed=2**31 - 1,
    n_new=0,
)


def through_url(
    selection: LiveSelection, texts: TextMemory, known: tuple[str, ...] = KNOWN
) -> tuple[LiveSelection, tuple[str, ...]]:
    query = parse_qs(urlencode(params(selection, texts)), keep_blank_values=True)
    return read({name: values[-1] for name, values in query.items()}, known, texts)


@pytest.mark.parametrize("selection", [PLAIN, FULL])
def test_a_selection_survives_the_url(selection: LiveSelection) -> None:
    assert through_url(selection, TextMemory()) == (selection, ())


def test_a_plain_selection_has_a_short_url() -> None:
    assert params(PLAIN, TextMemory()) == {"dictionaries": "a"}


def test_the_forms_in_the_url() -> None:
    written = params(FULL, TextMemory())
    assert written == {
        "dictionaries": "resid-2-topk,a",
        "text": FULL.text,
        "other": "another",
        "context": "7",
        "special": "1",
        "tab": "intervene",
        "by": "at",
        "at": "3,7-9",
        "of": "a",
        "contrast": "mean",
        "density": "..0.01",
        "kurtosis": "-2.5..1e+30",
        "flags": "dense,nonfinite",
        "token": '" the"',
        "role": "peaks on",
        "page": "3",
        "open": "resid-2-topk:416",
        "edits": "a:5:ablate;a:5:scale:-2.5@0;resid-2-topk:2147483647:clamp:1e-300@3,7-9",
        "seed": "2147483647",
        "new": "0",
    }


def random_selection(rng: random.Random) -> LiveSelection:
    dictionaries = tuple(rng.sample(KNOWN, rng.randrange(len(KNOWN) + 1)))

    def text() -> str:
        return "".join(rng.choices("ab \n\0\"'&=+%;é↵😀\u202e", k=rng.choice([0, 5, 600])))

    def bound() -> float | None:
        return rng.choice([None, 0.0, -1.0, 5e-324, 1e16, rng.gauss(0, 1)])

    def positions() -> tuple[int, ...]:
        start = rng.randrange(4000)
        return tuple(sorted({*rng.sample(range(4096), rng.randrange(5)), *range(start, start + 9)}))

    def edit() -> Edit:
        mode = rng.choice(["ablate", "scale", "clamp"])
        value = 0.0 if mode == "ablate" else rng.choice([0.0, 2.0, -1e300, rng.gauss(0, 9)])
        where = rng.choice([(), positions()])
        return Edit(rng.choice(dictionaries), rng.randrange(2**31), mode, value, where)

    spans = [(column, bound(), bound()) for column in RANGES if rng.random() < 0.2]
    query = FeatureQuery(
        dictionaries[0] if dictionaries else "",
        ranges=tuple(span for span in spans if span[1:] != (None, None)),
        flags=frozenset(rng.sample([Flag.DENSE, Flag.NONFINITE], rng.randrange(3))),
        include_dead=True,
        token=text()[:1000],
        role=rng.choice(TokenRole.__args__),
    )
    return LiveSelection(
        dictionaries,
        text=text(),
        other=text(),
        context=rng.choice([None, 0, rng.randrange(2**31)]),
        special=rng.random() < 0.5,
        tab=rng.choice(LiveTab.__args__),
        by=rng.choice(RankBy.__args__),
        tokens=rng.choice([(), positions()]),
        of=rng.choice(["", *dictionaries]),
        contrast_by=rng.choice(ContrastBy.__args__),
        query=query,
        page=rng.choice([1, 2, 10**9]),
        feature=(dictionaries[0], rng.randrange(2**31)) if dictionaries else None,
        edits=tuple(edit() for _ in range(rng.choice([0, 1, 64]) if dictionaries else 0)),
        seed=rng.choice([0, rng.randrange(2**31)]),
        n_new=rng.randrange(65),
    )


def test_random_selections_survive_the_url() -> None:
    rng, texts = random.Random(0), TextMemory()
    for _ in range(200):
        selection = random_selection(rng)
        assert through_url(selection, texts) == (selection, ())


def test_a_long_text_is_remembered_by_a_key() -> None:
    texts = TextMemory()
    selection = replace(PLAIN, text="x" * 1500, other="é" * 1500)
    written = params(selection, texts)
    assert written["text"] == selection.text
    assert "other" not in written and len(written["other_key"]) == 12
    assert through_url(selection, texts) == (selection, ())
    assert read(written, KNOWN, TextMemory()) == (
        replace(selection, other=""),
        (
            "The link's second text was too long for a link and was kept in memory only; "
            "it is gone. Paste it again.",
        ),
    )
    _, problems = read({"text_key": "<b>"}, KNOWN, texts)
    assert problems[0].startswith("The link's text was too long")


@pytest.mark.parametrize("times", [1, 2000])
def test_a_lone_surrogate_breaks_no_url(times: int) -> None:
    query = replace(PLAIN.query, token="\udcff")
    wild = replace(PLAIN, text="a\ud800" * times, query=query)
    mended = replace(PLAIN, text="a\ufffd" * times, query=replace(query, token="\ufffd"))
    assert through_url(wild, TextMemory()) == (mended, ())


@pytest.mark.parametrize(
    ("given", "chosen", "said"),
    [
        ({}, ("a",), None),
        ({"dictionary": "b.2"}, ("b.2",), None),
        ({"dictionary": "no"}, (), "The link says dictionary=no. Known: a, b.2, resid-2-topk, Z_9"),
        ({"dictionary": "b.2", "dictionaries": "Z_9,a,Z_9"}, ("Z_9", "a"), None),
        ({"dictionaries": ""}, (), None),
        ({"dictionaries": "x,a,<b>"}, ("a",), "The link says dictionaries=x,<b>. Known: a, b.2"),
    ],
)
def test_dictionaries_are_those_that_exist(
    given: dict[str, str], chosen: tuple[str, ...], said: str | None
) -> None:
    selection, problems = read(given, KNOWN, TextMemory())
    assert selection.dictionaries == chosen
    assert selection.query.dictionary_id == (chosen[0] if chosen else "")
    assert len(problems) == (said is not None)
    assert all(problem.startswith(said or "") for problem in problems)


def test_an_empty_store_chooses_none() -> None:
    assert read({}, (), TextMemory()) == (LiveSelection(()), ())
    _, problems = read({"dictionary": "a"}, (), TextMemory())
    assert problems == ("The link says dictionary=a. Known: none. Left out.",)


def test_what_does_not_fit_is_said() -> None:
    known = tuple(f"d{i}" for i in range(40))
    edits = ";".join(f"d0:{i}:ablate" for i in range(65))
    given = {"dictionaries": ",".join(known), "edits": edits}
    selection, problems = read(given, known, TextMemory())
    assert selection.dictionaries == known[:32]
    assert [edit.feature for edit in selection.edits] == list(range(64))
    assert "40 dictionaries; 32 fit. Taking the first 32." in problems[0]
    assert "65 edits; 64 fit. Taking the first 64." in problems[1]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("tab", "top", "A link may say: features, layers, reconstruction, contrast, intervene."),
        ("by", "xyz", "A link may say: max, sum, at, rarity, share. Showing max."),
        ("contrast", "sum", "A link may say: max, mean. Showing max."),
        ("special", "yes", "A link may say: 0, 1. Showing 0."),
        ("page", "0", "Showing page 1"),
        ("density", "low", "A range looks like"),
        ("flags", "dead", "by=rarity puts them first. Left out."),
        ("role", "<b>", "A link may say: promotes"),
        ("token", "y" * 1001, "1,001 characters"),
        ("context", "-1", "whole number from 0 to 2,147,483,647. Left out."),
        ("context", "2147483648", "whole number"),
        ("seed", "1.5", "whole number"),
        ("seed", "٣", "whole number"),
        ("new", "65", "from 0 to 64"),
        ("of", "b.2", "Dictionaries chosen: a. Showing all."),
        *(("at", bad, "Positions look like 3,7-9") for bad in "x 9-7 4096 0-4096 1,,2 -1".split()),
        ("at", "0-99999999999", "below 4,096. Left out."),
        *(("open", bad, "A feature looks like a:416") for bad in "7 b.2:1 a:-1 a:x a:1.5".split()),
        ("open", "a:2147483648", "A feature looks like a:416"),
        ("edits", "a:3", "An edit looks like"),
        ("edits", "a:3:erase", "An edit looks like"),
        ("edits", "a:3:ablate:0", "An edit looks like"),
        ("edits", "a:3:scale", "An edit looks like"),
        ("edits", "a:3:scale:nan", "An edit looks like"),
        ("edits", "a:3:clamp:1e999", "An edit looks like"),
        ("edits", "a:3:clamp:1.2.3", "An edit looks like"),
        ("edits", "a:3:ablate@", "Positions look like"),
        ("edits", "a:3:ablate@9-7", "Positions look like"),
        ("edits", "b.2:3:ablate", "dictionaries chosen: a."),
        ("edits", "a:2147483648:ablate", "An edit looks like"),
        ("edits", "a:3:ablate\n", "An edit looks like"),
    ],
)
def test_a_bad_value_says_what_is_known(name: str, value: str, said: str) -> None:
    selection, problems = read({name: value}, KNOWN, TextMemory())
    assert selection == PLAIN
    assert len(problems) == 1
    assert problems[0].startswith(f"The link says {name}=")
    assert said in problems[0]
    assert len(problems[0]) < 300


def test_one_bad_edit_leaves_the_others() -> None:
    given = {"edits": "a:1:ablate;a:2:vanish;;a:3:scale:-.5;x"}
    selection, problems = read(given, KNOWN, TextMemory())
    assert selection.edits == (Edit("a", 1, "ablate"), Edit("a", 3, "scale", -0.5))
    assert len(problems) == 1
    assert problems[0].startswith("The link says edits=a:2:vanish;x. An edit looks like")


def test_positions_are_sorted_and_distinct() -> None:
    selection, problems = read({"at": "9,3-5,4,007"}, KNOWN, TextMemory())
    assert (selection.tokens, problems) == ((3, 4, 5, 7, 9), ())
    assert params(selection, TextMemory())["at"] == "3-5,7,9"


def test_no_url_is_too_wild() -> None:
    rng, texts = random.Random(0), TextMemory()
    names = [*params(FULL, texts), "text_key", "other_key", "dictionary", "feature", "nonsense"]
    pieces = [*"09.-,;:@+eE<>&%'\"\0\u202e\ud800 ", "..", "nan", "inf", "dead", "1e99", "٣" * 50]
    pieces += [*KNOWN, "a:1:", "ablate", "scale:", "clamp:2", "@3,7-9", "x" * 2000]
    for _ in range(500):
        wild = {rng.choice(names): "".join(rng.choices(pieces, k=rng.randrange(9))) for _ in "abcd"}
        selection, problems = read(wild, KNOWN, texts)
        again, no_problems = through_url(selection, texts)
        assert params(again, texts) == params(selection, texts)
        assert no_problems == ()
        assert all(len(problem) < 400 for problem in problems)


def test_choosing_leaves_nothing_of_dictionaries_that_are_gone() -> None:
    chosen = choosing(FULL, ("a", "Z_9"))
    assert (chosen.dictionaries, chosen.query.dictionary_id) == (("a", "Z_9"), "a")
    assert (chosen.of, chosen.feature, chosen.page) == ("a", None, 1)
    assert chosen.edits == FULL.edits[:2]
    assert through_url(chosen, TextMemory()) == (chosen, ())
    none = choosing(FULL, ())
    assert through_url(none, TextMemory()) == (none, ())
    assert choosing(FULL, ("resid-2-topk",)).feature == ("resid-2-topk", 416)


def test_another_list_starts_at_its_first_page() -> None:
    assert FULL.listing(by="share") == replace(FULL, by="share", page=1)


def test_edits_come_change_and_go() -> None:
    more = with_edit(FULL, Edit("a", 6, "ablate"))
    assert more.edits == (*FULL.edits, Edit("a", 6, "ablate"))
    changed = with_edit(FULL, Edit("a", 5, "clamp", 3.0))
    assert changed.edits == (Edit("a", 5, "clamp", 3.0), *FULL.edits[1:])
    assert without_edit(FULL, FULL.edits[1]).edits == (FULL.edits[0], FULL.edits[2])
