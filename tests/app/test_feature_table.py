from app.feature_table import COLUMNS, flag_words, table_row
from app.selection import Selection
from featurestore.records import NUMERIC_COLUMNS, FeatureQuery, FeatureSummary

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


def test_a_row_holds_text_ready_to_show() -> None:
    row = table_row(ROW, Selection(FeatureQuery("d")))
    cells = dict(zip([name for name, *_ in COLUMNS], row["cells"], strict=True))
    assert row["href"] == "feature?dictionary=d&feature=4"
    assert cells["max_activation"] == ["7.89", "7.8901"]
    assert cells["logit_kurtosis"] == ["–", "does not exist"]
    assert cells["promoted"] == [["␣a", '" a"']] * 6
    assert cells["peak_tokens"] == [["↵", r'"\n"', 3]]
    assert cells["flags"] == flag_words(ROW) == ["dense", "nonfinite"]


def test_headings_sort_by_columns_that_the_store_knows() -> None:
    sortable = {name for name, _, kind, _ in COLUMNS if kind in ("link", "number")}
    assert sortable <= set(NUMERIC_COLUMNS)
