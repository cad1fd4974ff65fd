import pytest

from app.compare.selection import CompareSelection, choices, params, read
from tests.app.compare.made_up import INFO, made, of

KNOWN = {"family": ("a", "b"), "kind": ("sae",), "hook": ("here",), "model": ("small",)}


@pytest.mark.parametrize(
    "selection",
    [
        CompareSelection(),
        CompareSelection(by="l0", descending=True, plot="kl_ratio"),
        CompareSelection(plot="tokens", of="a"),
        CompareSelection(family="b", kind="sae", hook="here", model="small"),
    ],
)
def test_a_selection_survives_its_link(selection: CompareSelection) -> None:
    assert read(params(selection), KNOWN) == (selection, ())
    assert "by" in params(selection)  # tells Compare's links from those of a list


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("by", "x", "A link may say: dictionary, n_features"),
        ("order", "x", "A link may say: asc, desc"),
        ("plot", "l0", "A link may say: explained_variance"),
        ("family", "c", "Known: a, b. Showing all."),
    ],
)
def test_a_bad_value_is_told(name: str, value: str, said: str) -> None:
    selection, (problem,) = read({name: value}, KNOWN)
    assert selection == CompareSelection()
    assert problem.startswith(f"The link says {name}={value}. ")
    assert said in problem


def test_filters_keep_what_fits_all_of_them() -> None:
    other = of(made("other"), family="a", hook_name="there").info
    assert choices([INFO, other]) == {
        "family": ("a",),
        "kind": ("sae",),
        "hook": ("here", "there"),
        "model": ("small",),
    }
    assert CompareSelection().keeps(INFO)
    assert not CompareSelection(family="a").keeps(INFO)
    assert CompareSelection(family="a", hook="there").keeps(other)
    assert not CompareSelection(family="a", hook="here").keeps(other)
