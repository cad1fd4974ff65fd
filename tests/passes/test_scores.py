import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.inference import LanguageModel
from featurestore.passes.base import Run, Tables
from featurestore.passes.scores import Scores
from featurestore.passes.substitution import N_DRAWS
from tests.plain_model import plain_logits
from tests.tiny_model import D_MODEL, N_LAYERS
from tests.tiny_run import N_FEATURES, swept, tiny_corpus, tiny_dictionary, tiny_run

HOOK = "blocks.0.hook_resid_post"
MODES = {
    "sae": (HOOK, None, Nonlinearity("relu"), False, "none"),
    "tokenized": (f"blocks.{N_LAYERS - 1}.hook_resid_pre", None, Nonlinearity("relu"), True),
    "normed": (HOOK, None, Nonlinearity("signed_topk", k=3), False, "layer_norm"),
    "heads": ("blocks.0.attn.hook_z", None, Nonlinearity("relu")),
    "transcoder": ("blocks.0.hook_resid_pre", "blocks.0.hook_mlp_out", Nonlinearity("relu")),
}


@pytest.fixture(scope="module")
def hf_model(model_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(model_folder)


def run_of(model: LanguageModel, dictionary: Dictionary, has_bos: bool = True, n: int = 64) -> Run:
    return tiny_run(model, dictionary, tiny_corpus(model.d_vocab, has_bos=has_bos), n_scored=n)


def scored(run: Run, folder: Path) -> tuple[dict[str, dict], Tables]:
    scores = Scores(run)
    scores.prepare(swept(run, folder))
    found = scores.conclude()
    rows = found["measures"].to_pylist()
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}, found


def copying(model: LanguageModel, share: float = 1.0) -> Dictionary:
    """Decodes every vector, or so much of it, as its only two features an entry."""
    eye = torch.eye(D_MODEL)
    return Dictionary(
        Origin("identity", HOOK, HOOK),
        torch.cat([eye, -eye], dim=1),
        torch.zeros(2 * D_MODEL),
        torch.zeros(D_MODEL),
        torch.cat([eye, -eye]) * share,
        torch.zeros(D_MODEL),
        Nonlinearity("relu"),
    )


def test_a_perfect_dictionary(model: LanguageModel, tmp_path: Path) -> None:
    found, tables = scored(run_of(model, copying(model)), tmp_path)
    assert found["explained_variance"]["value"] == pytest.approx(1, abs=1e-12)
    assert found["l0"]["value"] == D_MODEL
    assert found["ce_decoded"]["value"] == pytest.approx(found["ce_clean"]["value"], abs=1e-6)
    assert found["kl_decoded"]["value"] == pytest.approx(0, abs=1e-9)
    assert found["kl_decoded"]["control"] == pytest.approx(0, abs=1e-9)
    assert found["perplexity_decoded"]["value"] == pytest.approx(found["perplexity_clean"]["value"])
    assert max(tables["substituted_tokens"]["kl"].to_pylist()) < 1e-9


def test_every_measure_is_in_the_document(model: LanguageModel, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| [^|]+ \| (`[^|]+) \|", text, re.MULTILINE)
    made_of_others = {"kl_ratio", "kl_gap"}
    shown = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} - made_of_others
    found, _ = scored(run_of(model, copying(model)), tmp_path)
    assert shown == {name.removesuffix("_with_first") for name in found}


def test_what_decodes_nothing_recovers_nothing(model: LanguageModel, tmp_path: Path) -> None:
    found, _ = scored(run_of(model, copying(model, share=0.0)), tmp_path)
    assert found["ce_decoded"]["value"] == found["ce_zero"]["value"]  # to the bit
    assert found["length_ratio"]["value"] == 0
    assert found["capacity"]["value"] is None  # no direction has a length


@pytest.mark.parametrize("has_bos", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_losses_are_those_of_a_plain_hook(
    model: LanguageModel, hf_model: PreTrainedModel, mode: str, has_bos: bool, tmp_path: Path
) -> None:
    run = run_of(model, tiny_dictionary(model, *MODES[mode]), has_bos)
    found, tables = scored(run, tmp_path)
    dictionary, corpus = run.dictionary, run.corpus
    read, written = dictionary.origin.hook_name, dictionary.origin.hook_name_out
    vectors, decoded, contexts = [], [], []
    for tokens, n in zip(corpus.tokens, corpus.n_valid, strict=True):
        hidden = model.hidden(tokens[None, :n], {read, written})
        ids = torch.from_numpy(tokens[:n]).long()
        vectors.append(hidden[written][0])
        decoded.append(dictionary.decode(dictionary.encode(hidden[read][0]), ids, hidden[read][0]))
        contexts.append(tokens[None, :n])
    counted = torch.cat([each[1:] for each in vectors])
    stand_ins = {
        "decoded": decoded,
        "zero": [torch.zeros_like(each) for each in vectors],
        "mean": [counted.mean(dim=0).expand_as(each) for each in vectors],
    }
    loss = {name: [] for name in ("clean", *stand_ins)}
    kl, ids = [], []
    for i, tokens in enumerate(contexts):
        clean = plain_logits(hf_model, tokens, {}).double().log_softmax(-1)[0]
        following = tokens[0, 2:]
        rows = np.arange(1, tokens.shape[1] - 1)
        loss["clean"] += (-clean[rows, following]).tolist()
        ids += tokens[0, rows].tolist()
        for name, each in stand_ins.items():

            def put(x: torch.Tensor, other: torch.Tensor = each[i]) -> torch.Tensor:
                return torch.cat([x[:, :1], other[None, 1:].view_as(x[:, 1:])], dim=1)

            changed = plain_logits(hf_model, tokens, {written: put}).double().log_softmax(-1)[0]
            loss[name] += (-changed[rows, following]).tolist()
            if name == "decoded":
                kl += (clean.exp() * (clean - changed)).sum(-1)[rows].tolist()
    n = len(kl)
    mean = {name: float(np.mean(each)) for name, each in loss.items()}
    for name, value in mean.items():
        assert found[f"ce_{name}"]["n"] == n
        assert found[f"ce_{name}"]["value"] == pytest.approx(value, abs=1e-4)
    assert found["kl_decoded"]["value"] == pytest.approx(np.mean(kl), abs=1e-4)
    sizes = np.array([max(each.shape[1] - 2, 0) for each in contexts])
    cost = np.subtract(loss["zero"], loss["clean"])
    parts = np.split(cost - cost.mean(), np.cumsum(sizes)[:-1])
    n_contexts = int((sizes > 0).sum())
    error = (sum(part.sum() ** 2 for part in parts) * n_contexts / (n_contexts - 1)) ** 0.5 / n
    assert found["ce_zero_se"]["value"] == pytest.approx(error, abs=1e-4)
    assert found["ce_zero_se"]["n"] == n_contexts
    is_cost = cost.mean() > 2 * error  # of weights drawn at random, it may be or not
    assert (found["ce_recovered"]["value"] is not None) == is_cost
    if is_cost:
        recovered = (mean["zero"] - mean["decoded"]) / cost.mean()
        assert found["ce_recovered"]["value"] == pytest.approx(recovered, rel=1e-2, abs=1e-3)
    assert found["perplexity_clean"]["value"] == pytest.approx(np.exp(mean["clean"]), rel=1e-4)
    x, y = counted.double(), torch.cat([each[1:] for each in decoded]).double()
    share = 1 - (x - y).square().sum() / (x - x.mean(dim=0)).square().sum()
    assert found["explained_variance"]["value"] == pytest.approx(share.item(), abs=1e-4)
    check_tokens(tables, np.array(ids), np.array(kl), run)


def check_tokens(tables: Tables, ids: np.ndarray, kl: np.ndarray, run: Run) -> None:
    rows = tables["substituted_tokens"].to_pylist()
    assert [row["token_id"] for row in rows] == sorted(set(ids.tolist()))
    corpus = run.corpus
    for row in rows:
        mine = kl[ids == row["token_id"]]
        assert row["n"] == len(mine)
        assert row["kl"] == pytest.approx(mine.mean(), abs=1e-4)
        if len(mine) > 1:
            error = mine.std(ddof=1) / len(mine) ** 0.5
            assert row["kl_se"] == pytest.approx(error, abs=1e-4)
        else:
            assert row["kl_se"] is None
        wanted = (corpus.tokens[corpus.is_valid(slice(None))] == row["token_id"]).sum()
        assert row["n_corpus"] == wanted


def test_position_0_is_apart(model: LanguageModel, tmp_path: Path) -> None:
    run = run_of(model, tiny_dictionary(model, HOOK))
    found, _ = scored(run, tmp_path)
    n_real = int(run.corpus.n_valid.sum())
    assert found["mse_with_first"]["n"] == n_real
    assert found["mse"]["n"] == n_real - len(run.corpus.tokens)
    assert found["mse"]["value"] != found["mse_with_first"]["value"]


def test_controls_move_as_far_as_the_error(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featurestore.passes import substitution

    seen = []
    replacements = substitution.Batch.replacements

    def keep(batch: substitution.Batch, *rest: object) -> object:
        for name, change in replacements(batch, *rest):
            seen.append((name, change))
            yield name, change

    monkeypatch.setattr(substitution.Batch, "replacements", keep)
    run = run_of(model, tiny_dictionary(model, HOOK))
    first, _ = scored(run, tmp_path / "a")
    names = [name for name, _ in seen]
    assert names.count("control-0") == names.count("decoded") == len(names) // (3 + N_DRAWS)
    for (_, decoded), (_, control) in zip(seen[::6], seen[3::6], strict=True):
        assert torch.allclose(decoded.norm(dim=1), control.norm(dim=1), rtol=1e-4)
        assert (torch.cosine_similarity(decoded, control).abs() < 0.99).all()
    again, _ = scored(run, tmp_path / "b")
    assert first == again
    other, _ = scored(replace(run, seed=4), tmp_path / "c")
    assert other["kl_decoded"]["value"] == pytest.approx(first["kl_decoded"]["value"])
    assert other["kl_decoded"]["control"] != first["kl_decoded"]["control"]
    assert first["kl_decoded"]["n_control"] == N_DRAWS * first["kl_decoded"]["n"]


def test_the_sample_is_drawn_by_the_seed(model: LanguageModel) -> None:
    run = run_of(model, tiny_dictionary(model, HOOK), n=4)
    samples = {seed: Scores(replace(run, seed=seed))._sample().tolist() for seed in range(5)}
    assert all(len(set(each)) == 4 and each == sorted(each) for each in samples.values())
    assert len({tuple(each) for each in samples.values()}) > 1
    assert samples[0] == Scores(replace(run, seed=0))._sample().tolist()


def test_no_contexts_leave_what_needs_none(model: LanguageModel, tmp_path: Path) -> None:
    found, tables = scored(run_of(model, tiny_dictionary(model, HOOK), n=0), tmp_path)
    assert set(found) == {"share_dead", "share_rare", "share_dense", "capacity"}
    assert set(tables) == {"measures"}


def test_shares_and_capacity_by_hand(model: LanguageModel, tmp_path: Path) -> None:
    dictionary = tiny_dictionary(model, HOOK)
    dictionary.directions[:] = 0
    dictionary.directions[0, 0] = 2
    dictionary.directions[1, 0] = -5
    dictionary.directions[2, 1] = 0.5
    run = run_of(model, dictionary, n=0)
    found, _ = scored(run, tmp_path)
    assert found["capacity"]["value"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert found["capacity"]["n"] == 3
    assert found["capacity"]["control"] == pytest.approx(D_MODEL / (D_MODEL + 2))
    n_active = swept(run, tmp_path).n_entries
    assert found["share_dead"]["value"] == (n_active == 0).mean() >= 1 / N_FEATURES
    assert found["share_rare"]["value"] == ((n_active > 0) & (n_active <= 10)).mean()
    assert found["share_dense"]["value"] == (n_active > 0.1 * run.corpus.n_tokens).mean()


def test_contexts_without_a_next_token(model: LanguageModel, tmp_path: Path) -> None:
    run = run_of(model, tiny_dictionary(model, HOOK))
    corpus = replace(run.corpus, n_valid=np.minimum(run.corpus.n_valid, 2))
    found, tables = scored(replace(run, corpus=corpus), tmp_path)
    assert found["ce_clean"] == {
        **{"name": "ce_clean", "value": None, "n": 0, "control": None, "n_control": None}
    }
    assert found["mse"]["n"] == 9 and found["mse"]["value"] > 0
    assert tables["substituted_tokens"].num_rows == 0
