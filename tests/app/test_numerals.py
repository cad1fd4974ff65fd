import math

import pytest

from app.numerals import beyond_chance, chance_of, exact, natural, percent, share_of, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (1234567, "1,234,567"),
        (3.14159, "3.14"),
        (0.99996, "1.00"),
        (31.4159, "31.4"),
        (12345.6, "12,346"),
        (0.0123456, "0.0123"),
        (0.000042, "4.20e-5"),
        (0.0000424, "4.24e-5"),
        (-2.5, "−2.50"),
        (1e12, "1.00e12"),
        (math.inf, "inf"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_short_numbers(value: float | None, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (2 / 277_982, "<0.01%"),
        (0.0001, "0.0100%"),
        (0.00238, "0.238%"),
        (0.5, "50.0%"),
        (0.9994, "99.9%"),
        (277_980 / 277_982, ">99.9%"),
        (1.0, "100%"),
        (1.5, "150%"),
        (-0.02, "−2.00%"),
    ],
)
def test_a_percentage_is_all_or_nothing_only_if_it_is(share: float, text: str) -> None:
    assert percent(share) == text


def test_other_numbers() -> None:
    assert exact(0.1 + 0.2) == "0.30000000000000004"
    assert exact(None) == "does not exist"


@pytest.mark.parametrize(
    ("percentage", "n", "text"),
    [(100.0, 4, "4 of 4"), (87.5, 4, "3.5 of 4"), (100 / 3, 6, "2 of 6"), (0.0, 1, "0 of 1")],
)
def test_a_percentage_of_few_is_a_count(percentage: float, n: int, text: str) -> None:
    assert share_of(percentage, n) == text


def test_numbers_in_names_sort_as_numbers() -> None:
    names = ["step-1000", "step-250", "a10b2", "a9b10", "step", "a10b1"]
    assert sorted(names, key=natural) == [
        "a9b10",
        "a10b1",
        "a10b2",
        "step",
        "step-250",
        "step-1000",
    ]


@pytest.mark.parametrize(
    ("share", "n", "fewest"),
    [
        (0.5, 20, 16),  # P(X >= 16) = 6,196 / 2**20 = 0.0059, P(X >= 15) = 21,700 / 2**20 = 0.0207
        (0.5, 3, None),  # P(X = 3) = 1/8
        (0.1, 2, None),  # P(X = 2) = 0.01, which is not below
        (0.09, 2, 2),
        (0.05, 20, 5),  # from a table: P(X >= 5) = 0.0026, P(X >= 4) = 0.0159
        (0.9, 20, None),
        (0.0, 20, 1),
        (1.0, 20, None),
    ],
)
def test_how_many_are_beyond_chance(share: float, n: int, fewest: int | None) -> None:
    assert beyond_chance(share, n) == fewest


@pytest.mark.parametrize(
    ("least", "n", "share", "chance"),
    [
        (1, 24, 0.0234, 1 - 0.9766**24),
        (16, 20, 0.5, 6_196 / 2**20),
        (0, 3, 0.2, 1.0),
        (3, 3, 0.2, 0.008),
        (4, 3, 0.2, 0.0),
        (1, 5, 0.0, 0.0),
    ],
)
def test_the_chance_of_so_many_or_more(least: int, n: int, share: float, chance: float) -> None:
    assert chance_of(least, n, share) == pytest.approx(chance, abs=1e-12)


@pytest.mark.parametrize(("share", "n"), [(0.3, 1000), (0.5, 999), (0.01, 400)])
def test_many_cases_are_beyond_chance_from_where_their_chance_says(share: float, n: int) -> None:
    fewest = beyond_chance(share, n)
    assert chance_of(fewest, n, share) < 0.01 <= chance_of(fewest - 1, n, share)
