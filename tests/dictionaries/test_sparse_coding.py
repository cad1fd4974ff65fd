"""Each class against the library's formulas; the classes are there only while a file is saved."""

import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from featurestore.dictionaries import sparse_coding
from featurestore.errors import DictionaryError
from tests.dictionaries.formulas import Numbers, check, kept, made_up, numbers
from tests.dictionaries.harm import check_refused, refusal
from tests.dictionaries.opened import opened

HOOK = "blocks.1.hook_resid_post"
D = 5
BOTH = pytest.mark.parametrize("n", [9, D])


@cache
def a_class(name: str) -> type:
    """One of the library's: `name` as in `learned_dict.TiedSAE`."""
    module, _, name = f"autoencoders.{name}".rpartition(".")
    return type(name, (), {"__module__": module})


def an_object(name: str, **held: object) -> object:
    """What the library would have made."""
    made = a_class(name)()
    made.__dict__.update(held)
    return made


def save(file: Path, content: object, *names: str) -> Path:
    """As the library does, where these classes are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "autoencoders", ModuleType("autoencoders"))
        for kind in map(a_class, names):
            module = sys.modules.get(kind.__module__) or ModuleType(kind.__module__)
            setattr(module, kind.__name__, kind)
            patch.setitem(sys.modules, kind.__module__, module)
        torch.save(content, file)
    return file


def saved(folder: Path, name: str, **held: object) -> Path:
    """A file of one dictionary."""
    pair = (an_object(name, **held), {"l1_alpha": 0.001})
    return save(folder / "learned_dicts.pt", [pair], name)


def shapes(n: int, *names: str) -> dict[str, tuple[int, ...]]:
    known = {
        **{
            "encoder": (n, D),
            "decoder": (n, D),
            "dict": (n, D),
            "pca_dict": (n, D),
            "encoder_bias": (n,),
        },
        **{"center_trans": (D,), "center_rot": (D, D), "center_scale": (D,)},
    }
    return {name: known[name] for name in names}


TIED = ("encoder", "encoder_bias")
CENTRED = (*TIED, "center_trans", "center_rot", "center_scale")


def tied(norm_encoder: bool = False, n: int = 9) -> object:
    weights = made_up(shapes(n, *TIED))
    return an_object("learned_dict.TiedSAE", **weights, norm_encoder=norm_encoder, n_feats=n)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1), 1e-8)[:, None]


def relu_of(w: Numbers, rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.maximum(rows @ x + w["encoder_bias"], 0)


@BOTH
@pytest.mark.parametrize("normed", [True, False])
def test_tied(tmp_path: Path, n: int, normed: bool) -> None:
    weights = made_up(shapes(n, *TIED))
    weights["encoder"][0] = 0  # a row of no length stays so
    file = saved(tmp_path, "learned_dict.TiedSAE", **weights, norm_encoder=normed, n_feats=n)
    dictionary, w = opened(file, HOOK), numbers(weights)
    assert (dictionary.origin.kind, dictionary.origin.hook_name_out) == ("sae", HOOK)
    rows = unit(w["encoder"]) if normed else w["encoder"]
    check(dictionary, lambda x: relu_of(w, rows, x), lambda x, f, token: f @ unit(w["encoder"]))


@BOTH
@pytest.mark.parametrize("missing", [None, *CENTRED[2:]])
def test_a_centred_one(tmp_path: Path, n: int, missing: str | None) -> None:
    weights = made_up(shapes(n, *CENTRED))
    held = weights | ({missing: None} if missing else {})
    file = saved(tmp_path, "learned_dict.TiedSAE", **held, norm_encoder=True)
    w = numbers(weights)
    nothing = {"center_trans": 0.0, "center_rot": np.eye(D), "center_scale": 1.0}
    t, r, s = (nothing[name] if name == missing else w[name] for name in CENTRED[2:])
    rows = unit(w["encoder"])
    check(
        opened(file, HOOK),
        lambda x: relu_of(w, rows, s * (r @ (x - t))),
        lambda x, f, token: r.T @ (f @ rows / s) + t,
    )


@BOTH
def test_untied(tmp_path: Path, n: int) -> None:
    weights = made_up(shapes(n, *TIED, "decoder"))
    w = numbers(weights)
    check(
        opened(saved(tmp_path, "learned_dict.UntiedSAE", **weights), HOOK),
        lambda x: relu_of(w, w["encoder"], x),
        lambda x, f, token: f @ unit(w["decoder"]),
    )


@BOTH
def test_random(tmp_path: Path, n: int) -> None:
    weights = made_up(shapes(n, *TIED))
    dictionary = opened(saved(tmp_path, "learned_dict.RandomDict", **weights), HOOK)
    assert dictionary.origin.kind == "random"
    w = numbers(weights)
    check(
        dictionary,
        lambda x: relu_of(w, w["encoder"], x),
        lambda x, f, token: f @ w["encoder"],
    )


@pytest.mark.parametrize(("n", "k"), [(9, 3), (D, 2), (9, 9)])
def test_topk(tmp_path: Path, n: int, k: int) -> None:
    weights = made_up(shapes(n, "dict"))
    file = saved(tmp_path, "topk_encoder.TopKLearnedDict", **weights, sparsity=k)
    dictionary, rows = opened(file, HOOK), numbers(weights)["dict"]
    assert dictionary.origin.kind == "topk"
    check(
        dictionary,
        lambda x: np.maximum(kept(rows @ x, k), 0),
        lambda x, f, token: f @ rows,
    )


@pytest.mark.parametrize("k", [1, 3, D])
def test_pca(tmp_path: Path, k: int) -> None:
    weights = made_up(shapes(D, "pca_dict"))
    dictionary = opened(saved(tmp_path, "pca.PCAEncoder", **weights, sparsity=k), HOOK)
    rows, n_below = numbers(weights)["pca_dict"], 0
    assert dictionary.origin.kind == "pca"

    def encode(x: np.ndarray) -> np.ndarray:
        nonlocal n_below
        scores = rows @ x
        scores[np.argsort(-np.abs(scores))[k:]] = 0
        n_below += int((scores < 0).sum())
        return scores

    check(dictionary, encode, lambda x, f, token: f @ rows)
    assert n_below > 0


def test_pca_is_counted_where_several_are_told(tmp_path: Path) -> None:
    encoder = an_object("pca.PCAEncoder", **made_up(shapes(4, "pca_dict")), sparsity=2)
    save(tmp_path / "learned_dicts.pt", [(encoder, {}), (encoder, {})], "pca.PCAEncoder")
    assert "  1: PCAEncoder, n_features = 4" in refusal(tmp_path, hook_name=HOOK)


def test_identities(tmp_path: Path) -> None:
    file = saved(tmp_path, "learned_dict.Identity", activation_size=D, device="cpu")
    assert opened(file, HOOK).origin.kind == "identity"
    check(opened(file, HOOK), lambda x: x, lambda x, f, token: f)
    file = saved(tmp_path, "learned_dict.IdentityPositive", activation_size=D)
    check(
        opened(file, HOOK),
        lambda x: np.maximum(np.concatenate([x, -x]), 0),
        lambda x, f, token: f[:D] - f[D:],
    )
    bias = made_up({"bias": (D,)})
    file = saved(tmp_path, "learned_dict.IdentityReLU", activation_size=D, **bias)
    b = numbers(bias)["bias"]
    check(opened(file, HOOK), lambda x: np.maximum(x + b, 0), lambda x, f, token: f)


@pytest.mark.parametrize("size", [0, 10**9, "5", None, True])
def test_an_identity_of_a_size_that_cannot_be(tmp_path: Path, size: object) -> None:
    file = saved(tmp_path, "learned_dict.Identity", activation_size=size)
    assert f"'activation_size' is {size!r}" in refusal(file, hook_name=HOOK)


def several(folder: Path) -> Path:
    identity = an_object("learned_dict.Identity", activation_size=D, n_feats=D)
    settings = {"l1_alpha": 0.001, "dict_size": 9, "name": "x" * 1000}
    pairs = [(tied(), settings), (tied(n=D), {"tied": True}), (identity, {})]
    names = ("learned_dict.TiedSAE", "learned_dict.Identity")
    return save(folder / "learned_dicts.pt", pairs, *names)


def test_the_recipe_says_which(tmp_path: Path) -> None:
    file = several(tmp_path)
    sizes = [opened(file, HOOK, index=i).n_features for i in range(3)]
    assert sizes == [9, D, D]
    assert opened(file, HOOK, index=2).origin.kind == "identity"


@pytest.mark.parametrize(("index", "told"), [(None, "missing"), (3, "3"), (-1, "-1")])
def test_which_is_asked_for(tmp_path: Path, index: int | None, told: str) -> None:
    message = refusal(several(tmp_path), hook_name=HOOK, index=index)
    assert f"'index' is {told}, and it holds 3 dictionaries" in message
    assert "  0: TiedSAE, n_features = 9, l1_alpha = 0.001, dict_size = 9, name = 'xxx" in message
    assert "\n  1: TiedSAE, n_features = 5, tied = True\n" in message
    assert message.endswith("  2: Identity, n_features = 5") and len(message) < 600


def test_a_folder_is_a_step(tmp_path: Path) -> None:
    (tmp_path / "_31").mkdir()
    file = several(tmp_path / "_31")
    for path in (file, file.parent):
        assert sparse_coding.recognises(path)
        assert opened(path, HOOK, index=0).origin.step == 31
    assert opened(several(tmp_path), HOOK, index=0).origin.step is None


def test_the_recipe_says_where_it_reads(tmp_path: Path) -> None:
    file = saved(tmp_path, "learned_dict.Identity", activation_size=D)
    assert "Add to the recipe, under this dictionary: hook_name" in refusal(file)


@pytest.mark.parametrize("name", ["learned_dict.ReverseSAE", "other.TiedSAE"])
def test_a_class_that_is_not_known(tmp_path: Path, name: str) -> None:
    message = refusal(saved(tmp_path, name, **made_up(shapes(9, *TIED))), hook_name=HOOK)
    assert f"of the class {name}; of this format can be read: learned_dict.TiedSAE" in message


def test_objects_of_other_libraries_are_named(tmp_path: Path) -> None:
    ica = an_object("ica.ICAEncoder", ica=Path("in place of scikit-learn"))
    pairs, names = [(tied(), {}), (ica, {})], ("learned_dict.TiedSAE", "ica.ICAEncoder")
    file = save(tmp_path / "learned_dicts.pt", pairs, *names)
    message = refusal(file, hook_name=HOOK, index=0)
    assert "could run code (pathlib.PosixPath), as ICAEncoder" in message


@pytest.mark.parametrize("content", [[], [1], [(tied(), {}, 3)], [(tied(), 3)], [({}, {})]])
def test_what_is_no_list_of_pairs(tmp_path: Path, content: object) -> None:
    save(tmp_path / "learned_dicts.pt", content, "learned_dict.TiedSAE")
    with pytest.raises(DictionaryError, match="expected a list of pairs"):
        opened(tmp_path, HOOK)


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"encoder": torch.zeros(D, 9)}, "'encoder_bias' has shape (9,), expected (n_features = 5"),
        ({"encoder": None}, "missing tensors: encoder."),
        ({"encoder": [1.0]}, "its 'encoder' is of type list"),
        ({"center_rot": torch.zeros(D, 4)}, "'center_rot' has shape (5, 4)"),
        ({"center_scale": torch.zeros(D)}, "'center_scale' is 0 somewhere"),
        ({"norm_encoder": None}, "'norm_encoder' is None; expected true or false"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, held: dict[str, object], told: str) -> None:
    good = made_up(shapes(9, *CENTRED)) | {"norm_encoder": True}
    file = saved(tmp_path, "learned_dict.TiedSAE", **(good | held))
    assert told in refusal(file, hook_name=HOOK)


@pytest.mark.parametrize("k", [0, 10, None, 2.0])
def test_sparsity_must_be_possible(tmp_path: Path, k: object) -> None:
    weights = made_up(shapes(9, "dict"))
    file = saved(tmp_path, "topk_encoder.TopKLearnedDict", **weights, sparsity=k)
    message = refusal(file, hook_name=HOOK)
    found = "missing" if k is None else repr(k)
    assert f"'sparsity' is {found}; it must be a whole number from 1 to 9" in message


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_harmful_files_are_refused(tmp_path: Path) -> None:
    weights = made_up(shapes(9, *TIED)) | {"norm_encoder": True}
    file = saved(tmp_path, "learned_dict.TiedSAE", **weights)
    check_refused(
        file,
        lambda it: saved(tmp_path, "learned_dict.TiedSAE", **(weights | {"encoder": it})),
        hook_name=HOOK,
    )
    assert not [name for name in sys.modules if name.startswith("autoencoders")]
