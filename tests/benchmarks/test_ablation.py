import json

import pytest

from benchmarks.ablation import main


def test_what_is_measured_is_sane(capsys: pytest.CaptureFixture) -> None:
    main("--features 16 --tokens 2000 --layers 2 --d-model 16 --repeats 2".split())
    found = json.loads(capsys.readouterr().out)
    assert (found["features"], found["layers"], found["d_model"]) == (16, 2, 16)
    assert 0 < found["least"] <= found["share_of_limit"] <= found["most"]
    assert found["limit_per_s"] > 0 and found["ablation_per_s"] > 0
