import numpy as np
import pytest

from app.live import rows
from app.live.ranking import Contrasted, Ranked, Side
from featurestore.live.records import Edit, Intervention, Substitution, TextActivations
from featurestore.records import DictionaryInfo, FeatureSummary
from tests.small_store import manifest

SUMMARY = FeatureSummary(
    *(416, 5, 0, 0.01, 9.0, 1.0, 1.0),
    promoted=(" range", " self", "a", "b", "c"),
    peak_tokens=(),
    histogram=(),
    logit_kurtosis=None,
    ablation_kl=None,
    control_kl=None,
    kl_percentile=None,
    n_effects=None,
    n_controls=None,
    nearest_cos=None,
    cluster=None,
    token_share=None,
    dim_share=None,
)
RANKED = Ranked(
    *("topk", 416, 5.5, 7.0, 5.5, 2, 0.01),
    share=0.5,
    stored_max=11.0,
    pos=(1, 3),
    values=(1.5, 5.5),
)
HREFS = {("topk", 416): "feature?x"}
TOKENS = ("for", " name", "\n", " in")
ACTIVATIONS = TextActivations(
    "topk",
    n_tokens=4,
    feature=np.array([2, 416, 416]),
    pos=np.array([0, 1, 3], dtype=np.int32),
    value=np.array([1.0, 1.5, 5.5], dtype=np.float32),
)


def info(**changes: object) -> DictionaryInfo:
    values = manifest("topk", "run", "now") | {"family": None, "step": None, "model_step": None}
    values |= {"dtype_change": None, "git_commit": None, "tables": {}, "path": ""}
    return DictionaryInfo(**(values | changes))


def test_a_feature_is_shaded_on_the_scale_of_its_page() -> None:
    summaries = {("topk", 416): SUMMARY}
    (row,) = rows.feature_rows([RANKED], TOKENS, summaries, HREFS, {}, True, False)
    columns = [column.name for column in rows.feature_columns(True, False, False)]
    cells = dict(zip(columns, row.cells, strict=True))
    assert cells == {
        "feature": "416",
        "max": 5.5,
        "sum": 7.0,
        "share": 0.5,
        "rarity": 0.01,
        "promotes": (" range", " self", "a", "b"),
    }
    assert (row.key, row.href, row.scale) == ("topk/416", "feature?x", 11.0)
    (strip,) = row.strips
    assert (strip.pos, strip.values) == ((1, 3), (1.5, 5.5))
    assert strip.label == "active on 2 of 4 tokens, most on \u2423in: 5.50"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (("junk", "lists", "unused"), "✕ lists"),
        (("junk", "", "unused"), "✕"),
        (("", "lists", ""), "lists"),
        (("", "", "a program's"), "(a program's)"),
        (None, ""),
    ],
)
def test_what_is_said_stands_beside_the_number(
    said: tuple[str, str, str] | None, shown: str
) -> None:
    labels = {("other", 1): ("", "a", "")} | ({("topk", 416): said} if said else {})
    (row,) = rows.feature_rows([RANKED], TOKENS, {}, HREFS, labels, True, False)
    columns = rows.feature_columns(True, False, True)
    assert dict(zip([c.name for c in columns], row.cells, strict=True))["label"] == shown


def test_of_several_dictionaries_a_feature_names_its_own() -> None:
    (row,) = rows.feature_rows([RANKED], TOKENS, {}, HREFS, {}, False, True)
    assert row.cells[0] == "topk 416"
    assert row.cells[2] == 5.5  # at the chosen tokens
    assert [c.name for c in rows.feature_columns(False, True, False)][2] == "at"


def test_a_feature_beyond_its_stored_maximum_sets_the_scale() -> None:
    beyond = Ranked(**(vars(RANKED) | {"stored_max": None, "max": -12.0}))
    (row,) = rows.feature_rows([beyond], TOKENS, {}, HREFS, {}, True, False)
    assert row.scale == 12.0


def test_a_contrast_has_a_strip_for_each_text() -> None:
    one = Contrasted(
        *("topk", 416, 0.01, 11.0, 4.0),
        Side(5.5, 1.75, 2, 4, (1, 3), (1.5, 5.5)),
        Side(1.5, 0.5, 1, 3, (0,), (1.5,)),
    )
    (row,) = rows.contrast_rows([one], (TOKENS, TOKENS[:3]), {}, HREFS, {}, True)
    cells = dict(zip([c.name for c in rows.contrast_columns(True, False)], row.cells, strict=True))
    assert cells["max"] == 4.0
    assert cells["mean"] == 1.25
    assert [strip.pos for strip in row.strips] == [(1, 3), (0,)]
    sides = Side(0.0, 0.0, 0, 4, (), ()), Side(1.0, 0.1, 1, 3, (0,), (1.0,))
    silent = Contrasted("topk", 1, 0.0, None, 0.0, *sides)
    (row,) = rows.contrast_rows(
        [silent], (TOKENS, TOKENS), {}, {("topk", 1): "feature?y"}, {}, True
    )
    assert row.strips[0].label == "silent"


def test_layers_share_a_scale() -> None:
    other = TextActivations("d", 4, *(np.zeros(0, dtype=t) for t in (int, np.int32, np.float32)))
    found = rows.layer_rows([info(), info(dictionary_id="d")], [ACTIVATIONS, other])
    assert [row.cells[2:] for row in found] == [(2, 0.75), (0, 0.0)]
    assert [row.scale for row in found] == [1.0, 1.0]
    assert found[0].strips[0].pos == (0, 1, 3)
    assert found[1].strips[0].pos == ()


def test_measures_of_a_kind_share_a_scale() -> None:
    control = np.array([[1.0, 0, 3], [3.0, 0, 3]])
    one = Substitution("a", np.array([2, 0, 1]), np.ones(3) / 2, np.array([0, 4.0, 1]), control, 0)
    two = Substitution("b", np.array([5, 5, 5]), np.ones(3), np.ones(3), control * 2, 0)
    found = rows.measure_rows([one, two])
    assert [row.cells[0] for row in found] == ["a", "", "", "", "b", "", "", ""]
    assert [row.scale for row in found] == [5, 1, 6, 6] * 2
    assert (rows.largest_kl([one, two]), rows.largest_kl([])) == (6, 0)
    assert [row.tone for row in found][:4] == ["count", "loss", "loss", "loss"]
    assert found[3].cells[1:] == ("KL, random (n = 2)", 5 / 3)
    assert found[3].strips[0].values == (2.0, 3.0)


def test_effects_stand_above_the_features_that_are_changed() -> None:
    edits = [Edit("topk", 416, "ablate"), Edit("topk", 416, "scale", 2.0, (1,))]
    control = np.array([[0.0, 0.25, 0, 0], [0, 0.75, 0, 0]])
    effect = Intervention(np.array([0.0, 0.25, 0, 0.1]), control, 2, 3, (), ())
    found = rows.effect_rows(effect, edits, [ACTIVATIONS])
    assert [row.key for row in found] == ["kl", "control", "topk/416"]
    assert found[0].strips[0].pos == (1, 3)
    assert found[1].strips[0].values == (0.5,)
    assert found[0].scale == found[1].scale == 0.5
    assert found[2].strips[0].values == (1.5, 5.5)
    assert found[2].cells[1] == 1.75
