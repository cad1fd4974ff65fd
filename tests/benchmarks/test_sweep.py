import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.material import Size, make_recipe
from benchmarks.sweep import as_text, main
from featurestore.build import build
from featurestore.plan import Order
from featurestore.store import Store

SIZE = ["--layers", "2", "--d-model", "16", "--repeats", "1", "--threads", "1"]


def test_what_is_measured_is_sane(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    main(["--features", "64", "--tokens", "600", "--json", "--folder", str(tmp_path), *SIZE])
    line = json.loads(capfd.readouterr().out)
    assert (line["benchmark"], line["features"], line["tokens"]) == ("sweep", 64, 600)
    assert (line["repeats"], line["threads"]) == (1, 1)
    # the medians are rounded to a millisecond, which is much of so small a limit
    assert line["limit_s"] == pytest.approx(line["forward_s"] + line["encode_s"], abs=0.002)
    assert line["build_ratio"] > line["sweep_ratio"] * 0.5 > 0
    assert line["ratio"] > line["sweep_ratio"] > 0
    assert line["tokens_per_s"] > 0
    assert line["peak_mb"] >= 0
    assert 1 < line["l0"] < 60
    assert list(tmp_path.iterdir()) == []  # nothing is left behind
    first, second = as_text(line).splitlines()
    assert "64 features" in first and "600 tokens" in first
    assert "x the limit" in second and "median of 1" in second


def test_what_is_built_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    size = Size(features=300, tokens=3000, layers=2, d_model=16, l0=20)
    build(Order(make_recipe(tmp_path, size), tmp_path / "store"))
    store = Store(tmp_path / "store")
    (info,) = store.catalogue().dictionaries
    assert (info.n_features, info.n_tokens, info.d_in) == (300, 3000, 16)
    assert info.hook_name == "blocks.1.hook_resid_post"
    n_active = [store.feature("random", i).n_active for i in range(300)]
    assert sum(n_active) / 3000 == pytest.approx(20, rel=0.25)
    assert np.ptp(np.log10([n for n in n_active if n])) > 1  # densities differ as in real ones
    store.close()
