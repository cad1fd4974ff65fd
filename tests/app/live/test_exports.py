import csv
import io
import json

import numpy as np

from app.live import exports
from app.live.ranking import Contrasted, Ranked, Side
from featurestore.live.records import Intervention, NextToken, Substitution, TextActivations

TOKENS = ("=a", " b", "\n")


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_features_of_a_text_come_with_their_tokens() -> None:
    one = Ranked("=d", 3, 2.5, 4.0, 0.0, 2, 0.1, None, None, (0, 2), (1.5, 2.5))
    (row,) = lines(exports.ranked_csv([one], TOKENS, {("=d", 3): ("junk", "=1+1", "")}))
    assert row["dictionary_id"] == "'=d"
    assert (row["feature"], row["max"], row["n"], row["share"]) == ("3", "2.5", "2", "")
    assert (row["verdict"], row["label"], row["explanation"]) == ("junk", "'=1+1", "")
    assert json.loads(row["activations"]) == [[0, "=a", 1.5], [2, "\n", 2.5]]


def test_features_of_two_texts_come_with_both_and_their_differences() -> None:
    sides = Side(2.0, 0.5, 1, 3, (1,), (2.0,)), Side(3.0, 0.25, 1, 1, (0,), (3.0,))
    one = Contrasted("d", 3, 0.1, 9.0, 2.0, *sides)
    (row,) = lines(exports.contrasted_csv([one], TOKENS, ("x",), {}))
    assert (row["max_difference"], row["mean_difference"]) == ("-1.0", "0.25")
    assert (row["max_a"], row["mean_a"], row["n_a"], row["n_tokens_a"]) == ("2.0", "0.5", "1", "3")
    assert json.loads(row["activations_a"]) == [[1, " b", 2.0]]
    assert (row["max_b"], row["n_b"], row["n_tokens_b"]) == ("3.0", "1", "1")
    assert (row["verdict"], row["label"], row["explanation"]) == ("", "", "")
    assert json.loads(row["activations_b"]) == [[0, "x", 3.0]]


def test_layers_and_losses_have_a_line_for_each_token() -> None:
    found = TextActivations(
        *("d", 3, np.array([4, 4]), np.array([0, 2], np.int32), np.ones(2, np.float32))
    )
    assert [row["n_active"] for row in lines(exports.layers_csv([found], TOKENS))] == [*"101"]
    control = np.array([[1.0, 2, 3], [3.0, 4, 5]])
    one = Substitution("d", np.array([1, 0, 1]), np.full(3, 0.5), np.arange(3.0), control, 7)
    rows = lines(exports.losses_csv([one], TOKENS))
    assert [row["control_kl_mean"] for row in rows] == ["2.0", "3.0", "4.0"]
    assert [row["kl"] for row in rows] == ["0.0", "1.0", "2.0"]
    assert {(row["n_draws"], row["seed"], row["error"]) for row in rows} == {("2", "7", "0.5")}
    assert [row["token"] for row in rows] == ["'=a", " b", "'\n"]


def test_next_tokens() -> None:
    tokens = (NextToken(" b", 0.5, 0.25),)
    found = Intervention(np.zeros(1), np.zeros((1, 1)), 0, 0, tokens, ())
    assert lines(exports.next_tokens_csv(found)) == [
        {"token": " b", "before": "0.5", "after": "0.25"}
    ]
