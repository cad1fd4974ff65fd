import random

import pytest

from app.map.chosen import MOST, ListError, read, written


@pytest.mark.parametrize("features", [(), (0,), (7, 8, 50), (0, 1, 2), (2**31 - 1,)])
def test_a_list_survives_its_text(features: tuple[int, ...]) -> None:
    assert read(written(features)) == features


def test_how_a_list_looks() -> None:
    assert written((7, 8, 50)) == "7.1.16"
    assert written(()) == ""


def test_the_longest_list_fits_a_link() -> None:
    among = tuple(sorted(random.Random(0).sample(range(1_000_000), MOST)))
    text = written(among)
    assert len(text) < 16_000
    assert read(text) == among


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("7..1", "looks like"),
        ("-1", "looks like"),
        ("7_1", "looks like"),
        ("٣", "looks like"),
        (" 7", "looks like"),
        ("A", "looks like"),
        ("1234567", "looks like"),
        ("7.0", "names each once"),
        ("zzzzzz", "below two billion"),
        (".".join("1" * (MOST + 1)), "5,001 features; 5,000 fit"),
    ],
)
def test_what_is_no_list(text: str, said: str) -> None:
    with pytest.raises(ListError, match=said):
        read(text)


def test_no_text_is_too_wild() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        text = "".join(rng.choices("0a.z\0 _-٣", k=rng.randrange(12)))
        try:
            assert read(written(read(text))) == read(text)
        except ListError:
            continue
