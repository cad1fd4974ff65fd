import math

import pytest

from app.numerals import exact, natural, percent, share_of, short


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
        (0.000042, "4.2e-5"),
        (0.0000424, "4.24e-5"),
        (-2.5, "−2.50"),
        (1e12, "1e12"),
        (math.inf, "inf"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_short_numbers(value: float | None, text: str) -> None:
    assert short(value) == text


def test_other_numbers() -> None:
    assert percent(0.00238) == "0.238%"
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
