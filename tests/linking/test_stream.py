from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.linking.stream import place, refusal
from featurestore.records import DictionaryInfo
from featurestore.store import Store
from tests.small_store import publish

IN_ORDER = [
    "hook_embed",
    "blocks.0.hook_resid_pre",
    "blocks.0.attn.hook_in",
    "blocks.0.hook_attn_out",
    "blocks.0.hook_resid_mid",
    "blocks.0.mlp.hook_in",
    "blocks.0.hook_mlp_out",
    "blocks.0.hook_resid_post",
    "blocks.1.ln1.hook_out",
    "blocks.1.hook_attn_out",
    "blocks.9.hook_mlp_out",
    "blocks.10.hook_attn_out",
]


def test_hook_points_stand_in_the_order_of_the_forward_pass() -> None:
    steps = [place(hook_name).step for hook_name in IN_ORDER]
    assert steps == sorted(set(steps))
    assert place("blocks.0.hook_resid_post").step == place("blocks.1.hook_resid_pre").step
    assert place("blocks.3.ln2.hook_normalized").step == place("blocks.3.mlp.hook_in").step


@pytest.mark.parametrize(
    "hook_name",
    ["blocks.0.attn.hook_z", "blocks.0.mlp.hook_post", "ln_final.hook_out", "blocks.x.hook_in"],
)
def test_what_is_not_on_the_stream(hook_name: str) -> None:
    assert place(hook_name) is None


@pytest.fixture
def info(tmp_path: Path) -> DictionaryInfo:
    publish(tmp_path)
    found = Store(tmp_path).dictionary("one")
    return replace(found, digests={"model": "m"})


@pytest.mark.parametrize(
    ("written", "read", "expected"),
    [
        ("hook_embed", "blocks.0.hook_resid_pre", None),
        ("blocks.0.hook_resid_pre", "blocks.0.attn.hook_in", None),
        ("blocks.0.hook_attn_out", "blocks.0.hook_resid_mid", None),
        ("blocks.0.hook_resid_mid", "blocks.0.ln2.hook_normalized", None),
        ("blocks.0.hook_mlp_out", "blocks.0.hook_resid_post", None),
        ("blocks.0.hook_mlp_out", "blocks.7.mlp.hook_in", None),
        (
            "blocks.0.hook_resid_post",
            "blocks.1.hook_resid_pre",
            "'up' writes where 'down' reads, at blocks.1.hook_resid_pre: nothing is between.",
        ),
        (
            "blocks.1.hook_resid_post",
            "blocks.1.hook_resid_mid",
            "'up' writes to blocks.1.hook_resid_post, which comes after blocks.1.hook_resid_mid, "
            "where 'down' reads. Give them in the other order.",
        ),
        (
            "blocks.1.hook_mlp_out",
            "blocks.1.mlp.hook_in",
            "'up' writes to blocks.1.hook_mlp_out, which comes after blocks.1.mlp.hook_in, where "
            "'down' reads.",
        ),
        ("blocks.0.mlp.hook_post", "blocks.1.hook_resid_post", "is no part of the residual stream"),
        ("blocks.0.mlp.hook_in", "blocks.1.hook_resid_post", "is no part of the residual stream"),
        ("blocks.0.hook_resid_post", "blocks.1.hook_attn_out", "neither the residual stream nor"),
        ("blocks.0.hook_resid_post", "blocks.1.attn.hook_z", "neither the residual stream nor"),
    ],
)
def test_only_what_comes_later_is_fed(
    info: DictionaryInfo, written: str, read: str, expected: str | None
) -> None:
    up = replace(info, dictionary_id="up", hook_name=written, hook_name_out=written)
    down = replace(info, dictionary_id="down", hook_name=read, hook_name_out=read)
    found = refusal(up, down)
    assert found is None if expected is None else expected in found
    if expected is not None and "order" not in expected:
        assert "order" not in found


def test_other_models_widths_and_itself_are_refused(info: DictionaryInfo) -> None:
    up = replace(info, dictionary_id="up", hook_name_out="blocks.0.hook_resid_pre")
    other = replace(info, digests={"model": "n"})
    assert "different models" in refusal(up, other)
    assert refusal(up, replace(info, d_in=5)) == (
        "'up' writes 4 dimensions and 'one' reads 5: they have no products."
    )
    assert "given twice" in refusal(up, up)
