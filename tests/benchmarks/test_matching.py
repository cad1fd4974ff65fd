import json

import numpy as np
import pytest

from benchmarks.matching import directions, main


def test_what_is_measured_is_sane(capsys: pytest.CaptureFixture) -> None:
    main("--features 60 --dimensions 16 --shared 1".split())
    found = json.loads(capsys.readouterr().out)
    assert (found["features"], found["method"]) == (60, "assignment")
    assert found["ratio"] > 0 and found["match_s"] >= 0
    assert 0.8 < found["mean_cosine"] < 0.95


def test_a_part_is_shared() -> None:
    a, b = directions(40, 64, 0.5)
    unit = b / np.linalg.norm(b, axis=1, keepdims=True)
    assert ((a @ unit.T).max(axis=1) > 0.8).sum() == 20
