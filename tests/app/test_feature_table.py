from app.feature_table import COLUMNS, Listed, flag_words, table_row
from app.selection import Selection
from featurestore.annotations.records import Content, Explanation, Verdict
from featurestore.records import NUMERIC_COLUMNS, FeatureQuery, FeatureSummary, Found

ROW = FeatureSummary(
    feature=4,
    n_active=6400,
    n_nonfinite=1,
    density=0.5,
    max_activation=7.8901,
    mean_activation=0.1,
    decoder_norm=1.0,
    promoted=(" a",) * 9,
    peak_tokens=(("\n", 3),),
    histogram=(1, 2),
    logit_kurtosis=None,
)


def drawn(listed: Listed) -> tuple[dict, dict]:
    """The only row of a list, and its cells by column."""
    row = table_row(listed.rows[0], listed, Selection(FeatureQuery("d")))
    return row, dict(zip([name for name, *_ in listed.columns], row["cells"], strict=True))


def test_a_row_holds_text_ready_to_show() -> None:
    row, cells = drawn(Listed((ROW,)))
    assert not {"said", "found"} & cells.keys()
    assert row["href"] == "feature?dictionary=d&feature=4"
    assert cells["max_activation"] == ["7.89", "7.8901"]
    assert cells["logit_kurtosis"] == ["–", "does not exist"]
    assert cells["promoted"] == [["␣a", '" a"']] * 6
    assert cells["peak_tokens"] == [["↵", r'"\n"', 3]]
    assert cells["flags"] == flag_words(ROW) == ["dense", "nonfinite"]


def test_people_come_before_programs() -> None:
    programs = {4: (Explanation("x", "d", 4, "a river\u202e", "fuzz", "m"),)}
    nobody = {"said": {}, "explanations": programs}
    _, cells = drawn(Listed((ROW,), **nobody))
    assert cells["said"] == ["", "", "a river⟦U+202E⟧", "fuzz · m", "program"]
    said = Content(Verdict.UNSURE, "rivers", "and lakes", ("geo",))
    _, cells = drawn(Listed((ROW,), {4: said}, programs))
    tip = "unsure · rivers · note: and lakes · #geo"
    assert cells["said"] == ["unsure", "◐", "rivers", tip, "person"]
    _, cells = drawn(Listed((ROW,), {4: Content()}, programs))
    assert cells["said"][-1] == "program"


def test_reasons_take_the_place_of_some_numbers() -> None:
    found = (
        Found("promotes", "", " a", "", 0.5),
        Found("peaks on", "", "\n", "", 3),
        Found("context", "up ", "the", " river", context=7),
    )
    row, cells = drawn(Listed((ROW,), found={4: found}, lists={4: Selection(FeatureQuery("e"))}))
    assert cells["found"] == [
        ["promotes", "", "␣a", " 0.500", '" a"'],
        ["peaks on", "", "↵", " ×3", r'"\n"'],
        ["context", "up ", "the", " river", '"up the river"'],
    ]
    assert "histogram" not in cells
    assert row["href"] == "feature?dictionary=e&feature=4"


def test_headings_sort_by_columns_that_the_store_knows() -> None:
    sortable = {name for name, _, kind, _ in COLUMNS if kind in ("link", "number")}
    assert sortable <= set(NUMERIC_COLUMNS)
