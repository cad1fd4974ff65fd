from dataclasses import dataclass, field

import pytest

from featurestore.errors import RecipeError
from featurestore.toml_tables import read_table


@dataclass(frozen=True)
class Inner:
    size: int
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Outer:
    inner: Inner
    others: tuple[Inner, ...] = ()
    is_on: bool = field(default=False)


def test_tables_lists_and_defaults_are_read() -> None:
    content = {"inner": {"size": 3, "names": ["a"]}, "others": [{"size": 1}, {"size": 2}]}
    wanted = Outer(Inner(3, ("a",)), (Inner(1), Inner(2)))
    assert read_table(Outer, content, "x.toml") == wanted


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, "x.toml: key 'inner' is missing; expected a table."),
        ({"inner": {}}, "x.toml: key 'inner.size' is missing; expected a whole number."),
        ({"inner": {"size": True}}, "'inner.size' is True; expected a whole number."),
        ({"inner": {"size": 1, "names": "a"}}, "expected a list in brackets, each element text."),
        ({"inner": {"size": 1}, "others": [{"size": 1}, 2]}, "'others[1]' is 2; expected a table."),
        ({"inner": {"size": 1}, "others": {}}, "is {}; expected tables, each below [[others]]."),
        ({"inner": {"size": 1}, "is_of": 1}, "unknown key 'is_of'. Did you mean 'is_on'?"),
        ({"inner": {"zzz": 1}}, "unknown key 'inner.zzz'. Allowed here: size, names."),
    ],
)
def test_a_mistake_is_told_by_its_key(content: dict, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_table(Outer, content, "x.toml")
    assert expected in str(caught.value)
