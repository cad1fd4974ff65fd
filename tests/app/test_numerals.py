import math

import pytest

from app.numerals import exact, natural, percent, short


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
