from dataclasses import replace

import pytest

from app.feature_table import COLUMNS, SORTABLE, Listed, table_row
from app.markup import COLUMN_HELP, COLUMN_WORDS
from app.selection import RANGES, Selection
from app.token_text import alone
from featurestore.annotations.records import Content, Explanation, Verdict
from featurestore.detail_records import Cluster, NearToken
from featurestore.records import NUMERIC_COLUMNS, SORTS, FeatureQuery, FeatureSummary, Found
from tests.synthetic_store import HOSTILE

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
    ablation_kl=0.0213,
    control_kl=0.006,
    kl_percentile=91.66666,
    n_effects=41,
    n_controls=12,
    nearest_cos=0.7,
    cluster=12,
    token_share=0.625,
    dim_share=0.1,
)


def drawn(listed: Listed) -> tuple[dict, dict]:
    """The only row of a list, and its cells by column."""
    row = table_row(listed.rows[0], listed, Selection(FeatureQuery("d")))
    return row, dict(zip([name for name, *_ in listed.columns], row["cells"], strict=True))


def test_a_row_holds_text_ready_to_show() -> None:
    row, cells = drawn(Listed((ROW,)))
    assert not {"said", "match"} & cells.keys()
    assert row["href"] == "feature?dictionary=d&feature=4"
    assert cells["max_activation"] == ["7.89", "7.8901"]
    assert cells["logit_kurtosis"] == ["–", "does not exist"]
    assert cells["promoted"] == [["␣a", '" a"']] * 6
    assert cells["peak_tokens"] == [["↵", r'"\n"', 3]]
    assert cells["token_share"] == ["62.5%", "0.625"]


def test_a_share_on_one_token_needs_tokens_to_tell() -> None:
    _, cells = drawn(Listed((replace(ROW, n_active=20),)))
    assert cells["token_share"][0] == "62.5%"
    _, cells = drawn(Listed((replace(ROW, n_active=19),)))
    tip = "0.625, but its active tokens are too few to tell: 19, below 20"
    assert cells["token_share"] == ["–", tip]
    assert "one token" not in dict(cells["flags"])


def test_an_effect_stands_beside_its_control() -> None:
    _, cells = drawn(Listed((ROW,)))
    shown, tip, *control = cells["ablation_kl"]
    assert [shown, *control] == ["0.0213", "0.00600", "11 of 12"]
    assert "0.006 for 12 random directions as long, above 11 of 12" in tip
    _, cells = drawn(Listed((replace(ROW, control_kl=None, kl_percentile=None),)))
    assert cells["ablation_kl"][2:] == ["–", "–"]


def test_what_is_missing_says_why() -> None:
    missing = replace(ROW, ablation_kl=None, nearest_cos=None, cluster=None, token_share=None)
    _, cells = drawn(Listed((missing,)))
    assert cells["ablation_kl"][0] == "–" and "passes.n_ablated_top" in cells["ablation_kl"][1]
    assert "no length" in cells["nearest_cos"][1]
    assert "passes.map" in cells["cluster"][1]
    _, cells = drawn(Listed((replace(missing, n_active=0, density=0.0),)))
    for name in ("ablation_kl", "cluster", "token_share"):
        assert cells[name] == ["–", "Never active on this corpus, so there is nothing to measure"]
    assert "no length" in cells["nearest_cos"][1]  # the dead have directions


@pytest.mark.parametrize("token", HOSTILE)
def test_a_cluster_is_named_by_visible_tokens(token: str) -> None:
    cluster = Cluster(12, 40, 0.0, 0.0, (NearToken(token, 0.875), NearToken(" b", 0.5)))
    _, cells = drawn(Listed((ROW,), clusters={12: cluster}))
    number, tip, name = cells["cluster"]
    assert (number, name) == ("12", alone(token))
    assert tip.startswith("Cluster 12: 40 features") and tip.endswith(' 87.5%, " b" 50.0%')
    assert not {"\u202e", "\u200b", "\0", "\n", "\r"} & set(tip + name)


def test_a_cluster_without_a_name_has_its_number() -> None:
    nameless = Cluster(12, 40, 0.0, 0.0, ())
    for clusters in ({}, {12: nameless}):
        _, cells = drawn(Listed((ROW,), clusters=clusters))
        assert cells["cluster"] == ["12", "Cluster 12", ""]


def test_flags_stand_in_one_cell() -> None:
    _, cells = drawn(Listed((replace(ROW, dim_share=0.83),)))
    assert [word for word, _ in cells["flags"]] == [
        "dense",
        "nonfinite",
        "one dimension",
        "one token",
    ]


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
    assert cells["match"] == [
        ["promotes", "", "␣a", " 0.500", '" a"'],
        ["peaks on", "", "↵", " ×3", r'"\n"'],
        ["context", "up ", "the", " river", '"up the river"'],
    ]
    for n, whole, told in (
        (17, 20, "17 of 20 contexts"),
        (7, 20, "\u20077 of 20 contexts"),
        (1, 1, "1 of 1 context"),
        (3, None, "3 of ? contexts"),
    ):
        counted = replace(ROW, n_matching=n, n_searched=whole)
        _, cells = drawn(Listed((counted,), found={4: (*found, found[-1])}))
        assert [reason[0] for reason in cells["match"]] == ["promotes", "peaks on", told, ""]
    assert not {"histogram", "nearest_cos", "token_share"} & cells.keys()
    assert row["href"] == "feature?dictionary=e&feature=4"


def test_headings_sort_by_columns_that_the_store_knows() -> None:
    sortable = {name for name, _, kind, _ in COLUMNS if kind in SORTABLE}
    assert sortable <= {*NUMERIC_COLUMNS, "match"} <= set(SORTS)


def test_every_number_has_a_name_and_a_meaning() -> None:
    assert set(RANGES) <= set(COLUMN_WORDS)
    assert set(RANGES) == set(COLUMN_HELP)
