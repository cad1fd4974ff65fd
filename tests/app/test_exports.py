import csv
import io
import json

import pytest

from app.exports import LABEL_COLUMNS, examples_csv, features_csv
from featurestore.annotations.records import Content, Explanation, Verdict
from featurestore.records import Band, Example, FeatureSummary
from featurestore.spreadsheet import safe
from tests.synthetic_store import HOSTILE


def _read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_features_come_back() -> None:
    numbers = (0.021, 0.006, None, 41, 6, -0.25, 12, 0.5, 0.875)
    row = FeatureSummary(
        7, 3, 0, 1e-5, -2.5, None, 1.0, HOSTILE, (("=1+1", 2),), (1, 2), None, *numbers
    )
    said = {7: Content(Verdict.UNSURE, "=1+1")}
    programs = (Explanation("d", "sae", 7, "a, b", "auto"), Explanation("d", "sae", 7, "c", "auto"))
    data = features_csv([row], said, {7: programs})
    assert data.endswith(b'"\r\n')
    (read,) = _read(data)
    assert (read["feature"], read["max_activation"], read["mean_activation"]) == ("7", "-2.5", "")
    assert tuple(json.loads(read["promoted"])) == HOSTILE
    assert json.loads(read["peak_tokens"]) == [["=1+1", 2]]
    names = ("ablation_kl", "control_kl", "kl_percentile", "nearest_cos", "cluster")
    assert [read[name] for name in names] == ["0.021", "0.006", "", "-0.25", "12"]
    assert (read["n_effects"], read["n_controls"]) == ("41", "6")
    assert (read["token_share"], read["dim_share"]) == ("0.5", "0.875")
    assert [read[name] for name in LABEL_COLUMNS] == ["unsure", safe("=1+1"), "a, b"]
    (read,) = _read(features_csv([row], {}, {}))
    assert [read[name] for name in LABEL_COLUMNS] == ["", "", ""]


@pytest.mark.parametrize("token", HOSTILE)
def test_contexts_come_back(token: str) -> None:
    example = Example(5, "doc", 0, (token, "b"), (0, 1), 0, 2.0, {0: 2.0})
    (read,) = _read(examples_csv(7, [Band("top", 0, None, 2.0, 9, (example,))]))
    assert (read["peak_token"], read["text"]) == (safe(token), safe(f"{token}b"))
    assert json.loads(read["activations"]) == {"0": 2.0}
