import csv
import io
import json
import random

import pytest

from app.exports import examples_csv, features_csv, safe
from featurestore.records import Band, Example, FeatureSummary
from tests.synthetic_store import HOSTILE

PIECES = [*"=+-@\t\r\n|%＝＋－＠' \"\ufeff\u00a0,;a1", "cmd", "é", "\0"]


def _starts_a_formula(cell: str) -> bool:
    return cell.lstrip(" \ufeff\u00a0")[:1] in set("=+-@\t\r\n|%＝＋－＠") - {""}


def test_no_cell_starts_a_formula_and_each_comes_back() -> None:
    rng = random.Random(0)
    for _ in range(20_000):
        cell = "".join(rng.choices(PIECES, k=rng.randrange(6)))
        made = safe(cell)
        assert not _starts_a_formula(made)
        assert (made[1:] if made.startswith("'") else made) == cell


def _read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_features_come_back() -> None:
    row = FeatureSummary(7, 3, 0, 1e-5, -2.5, None, 1.0, HOSTILE, (("=1+1", 2),), (1, 2), None)
    data = features_csv([row])
    assert data.endswith(b'"\r\n')
    (read,) = _read(data)
    assert (read["feature"], read["max_activation"], read["mean_activation"]) == ("7", "-2.5", "")
    assert tuple(json.loads(read["promoted"])) == HOSTILE
    assert json.loads(read["peak_tokens"]) == [["=1+1", 2]]


@pytest.mark.parametrize("token", HOSTILE)
def test_contexts_come_back(token: str) -> None:
    example = Example(5, "doc", 0, (token, "b"), (0, 1), 0, 2.0, {0: 2.0})
    (read,) = _read(examples_csv(7, [Band("top", 0, None, 2.0, 9, (example,))]))
    assert (read["peak_token"], read["text"]) == (safe(token), safe(f"{token}b"))
    assert json.loads(read["activations"]) == {"0": 2.0}
