import base64
import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from app.map.legend import COLOURS, legend
from app.map.points import (
    N_COLOURS,
    Points,
    Said,
    cluster_name,
    coloured,
    columns,
    draws_each,
    mask,
    points_part,
    said_part,
)
from app.map.summary import points_csv, summary
from app.map.words import measures, population
from app.map.words import summary as summary_html
from featurestore.detail_records import Cluster, FeatureMap, MapPoint, Measure, NearToken
from tests.synthetic_store import HOSTILE


def point(feature: int, cluster: int | None = None, **given: object) -> MapPoint:
    known = {"kl_percentile": None, "n_controls": None, "ablation_kl": None}
    known |= {"token_share": None, "promoted": ()}
    plain = {"x": feature / 2, "y": -feature / 3, "density": 0.01, "max_activation": 1.0}
    return MapPoint(feature=feature, cluster=cluster, **(plain | known | given))


@pytest.mark.parametrize(
    ("draws", "words"),
    [([0, 4, 4], "4 each"), ([2, 0, 16], "2 to 16 each"), ([0], "none"), ([], "none")],
)
def test_draws_are_those_of_a_feature(draws: list[int], words: str) -> None:
    assert draws_each(np.array(draws, np.int32)) == words


def cluster(number: int, n: int, x: float = 0.0, *tokens: str) -> Cluster:
    return Cluster(number, n, x, 0.0, tuple(NearToken(token, 0.5) for token in tokens))


POINTS = columns(
    FeatureMap(
        points=(
            point(2, 1, promoted=(" a", "b"), kl_percentile=50.0, n_controls=4, density=0.5),
            point(5, None, promoted=("b", "=1+1", "c", "unused"), token_share=0.25),
            point(9, 1, promoted=(), density=1e-5),
        ),
        clusters=(cluster(1, 2, 0.0, " a", "<b>"), cluster(4, 7)),
        control=((1.0, 2.0, None), (3.0, 4.0, 0)),
        measures={"clustered": Measure(0.75, 3, None, None)},
    )
)
EMPTY = columns(FeatureMap((), (), (), {}))
SAID = Said({2: "junk", 5: "monosemantic", 7: "unsure"}, {2: "<i>", 8: "x"}, {2: "y", 9: "z"})


def unpacked(part: bytes) -> dict:
    """What parts.js makes of a part."""
    start = 4 + int.from_bytes(part[:4], "little")
    assert start % 4 == 0
    header = json.loads(part[4:start])
    for name, (dtype, size, at) in header["arrays"].items():
        assert at % 4 == 0
        header[name] = np.frombuffer(part, f"<{dtype}", size, start + at)
    return header


def test_a_part_holds_the_map() -> None:
    part = unpacked(points_part(POINTS, "key"))
    assert (part["map"], part["part"]) == ("key", "points")
    assert part["feature"].tolist() == [2, 5, 9]
    assert part["place"].reshape(-1, 2)[1].tolist() == pytest.approx([2.5, -5 / 3])
    assert part["cluster"].tolist() == [1, -1, 1]
    assert part["density"].tolist() == pytest.approx([0.5, 0.01, 1e-5])
    assert part["effect"][0] == 50
    assert part["draws"].tolist() == [4, 0, 0]
    assert math.isnan(part["effect"][1])
    assert part["share"][1] == 0.25
    shown = [[part["tokens"][t] for t in row if t >= 0] for row in part["promoted"].reshape(-1, 3)]
    assert shown == [["␣a", "b"], ["b", "=1+1", "c"], []]
    assert part["control_place"].tolist() == [1, 2, 3, 4]
    assert part["control_cluster"].tolist() == [-1, 0]
    assert [one["name"] for one in part["clusters"]] == ["a · <b>", "cluster 4"]


def test_what_was_said_goes_with_the_points_that_are_there() -> None:
    verdict, part = said_part(POINTS, SAID, "key")
    said = unpacked(part)
    assert said["labels"] == [[0, "<i>", 0], [2, "z", 1]]
    assert said["verdict"].tolist() == verdict.tolist() == [4, 1, 0]


def test_an_empty_map_is_a_part_too() -> None:
    assert unpacked(points_part(EMPTY, "key"))["place"].size == 0
    assert said_part(EMPTY, SAID, "key")[0].size == 0
    assert len(EMPTY) == 0


@pytest.mark.parametrize("n", [1, 7, 8, 9, 200])
def test_a_mask_has_a_bit_for_each_point(n: int) -> None:
    points = columns(FeatureMap(tuple(point(3 * f) for f in range(n)), (), (), {}))
    chosen = [f for f in range(0, 3 * n, 2)]
    packed = np.frombuffer(base64.b64decode(mask(points, chosen)), np.uint8)
    bits = np.unpackbits(packed, bitorder="little", count=n)
    assert bits.tolist() == [int(3 * f in chosen) for f in range(n)]


def test_the_largest_clusters_have_a_colour_of_their_own_and_the_others_none() -> None:
    row = [cluster(i, 50 + i, float(i)) for i in range(N_COLOURS + 3)]
    assert coloured(row) == list(range(N_COLOURS + 2, 2, -1))
    assert coloured(row[:2]) == [1, 0]
    some = replace(POINTS, clusters=tuple(row))
    part = unpacked(points_part(some, "key"))
    colours = {one["number"]: one["colour"] for one in part["clusters"]}
    assert [colours[i] for i in range(N_COLOURS + 3)] == [-1, -1, -1, *reversed(range(N_COLOURS))]
    made = legend(some, "cluster", np.zeros(len(some), np.uint8))["entries"]
    assert [one["cluster"] for one in made] == [*coloured(row), -1]
    assert (made[-1]["text"], made[-1]["n"]) == ("and 3 more, grey", f"{50 + 51 + 52}")


def test_hostile_tokens_name_a_cluster_visibly() -> None:
    for token in HOSTILE:
        name = cluster_name(cluster(3, 1, 0.0, token))
        assert name
        assert not any(ord(character) < 32 for character in name)
        assert "\u202e" not in name
        assert len(name) < 40


@pytest.mark.parametrize("points", [POINTS, EMPTY])
@pytest.mark.parametrize("colour", COLOURS)
def test_every_colouring_has_a_legend(points: Points, colour: str) -> None:
    made = legend(points, colour, np.zeros(len(points), np.uint8))
    assert made["kind"] in ("scale", "classes")
    json.dumps(made, allow_nan=False)


def test_a_legend_counts_what_has_no_colour() -> None:
    verdict, _ = said_part(POINTS, SAID, "key")
    assert legend(POINTS, "effect", verdict)["missing"].endswith("passes.n_ablated_bands): 2")
    share = legend(POINTS, "share", verdict)
    assert share["words"].endswith("on one token · 1 feature")
    assert share["missing"] == "active on fewer than 20 tokens, too few to tell: 2"
    words = legend(POINTS, "effect", verdict)["words"]
    assert words == (
        "% of its own random draws (4 each) with less KL when switched off · 1 feature"
    )
    clusters = legend(POINTS, "cluster", verdict)
    assert clusters["missing"] == "in no cluster: 1"
    assert [(one["text"], one["n"]) for one in clusters["entries"]][0] == ("cluster 4", "7")
    counts = [one["n"] for one in legend(POINTS, "verdict", verdict)["entries"]]
    assert counts == ["1", "0", "0", "1"]


def test_a_summary_counts_the_list() -> None:
    verdict, _ = said_part(POINTS, SAID, "key")
    found = summary(POINTS, (2, 5, 100), verdict)
    assert (found.n, found.n_elsewhere) == (2, 1)
    assert found.mean_density == pytest.approx(0.255)
    assert (found.median_effect, found.n_effects) == (50.0, 1)
    assert found.tokens[0] == ("b", 2)
    assert found.clusters == (("a · <b>", 1),)
    assert dict(found.verdicts)["junk"] == 1
    html = summary_html(found)
    assert "<dt>a · &lt;b&gt;</dt><dd>1</dd>" in html
    assert "<dt>KL above random, median</dt><dd>50.0% of random draws, 4 each</dd>" in html
    assert "<b>" not in html
    nothing = summary(POINTS, (100,), verdict)
    assert (nothing.mean_density, nothing.median_effect) == (None, None)
    assert "not measured" in summary_html(nothing)


def test_the_csv_is_safe_and_complete() -> None:
    rows = list(csv.DictReader(io.StringIO(points_csv(POINTS).decode("utf-8-sig"))))
    assert [row["feature"] for row in rows] == ["2", "5", "9"]
    assert np.float32(rows[1]["y"]) == POINTS.place[1, 1]
    assert [row["cluster"] for row in rows] == ["1", "", "1"]
    assert json.loads(rows[0]["cluster_tokens"]) == [" a", "<b>"]
    assert json.loads(rows[1]["promoted"]) == ["b", "=1+1", "c"]
    some = points_csv(POINTS, (5, 7)).decode("utf-8-sig")
    assert some.count("\r\n") == 2


def test_measures_stand_beside_their_control() -> None:
    html = measures(
        {
            "clustered": Measure(0.8, 100, 0.02, 100),
            "n_clusters": Measure(3.0, 100, 0.0, 90),
            "silhouette": Measure(None, 0, None, None),
            "other": Measure(1.0, 1, None, None),
        }
    )
    assert "80.0%" in html
    assert "2.00%" in html
    assert "100 / 90" in html
    assert "–" in html
    assert "other" not in html
    assert "trustworthiness" not in html
    assert measures({}) == ""


def test_features_that_are_left_out_are_counted() -> None:
    class Info:
        n_features = 120

    assert "7 dead ones left out" in population(Info, 113, 1, 113)
    line = population(Info, 100, 3, 113)
    assert "13 others left out" in line
    assert "3 clusters" in line
