import pytest

from app.compare.token_losses import (
    DRAWN_AT_MOST,
    FrequencyBin,
    by_frequency,
    costliest,
    costliest_chips,
    drawn,
    summary,
    told_of_bin,
)
from featurestore.detail_records import SubstitutedToken


def lost(
    n_corpus: int, kl: float, n: int = 1, control: float = 0.5, token: str = "a"
) -> SubstitutedToken:
    return SubstitutedToken(token, n, kl, None if n < 2 else 0.1, control, n_corpus)


def test_bins_are_powers_of_four() -> None:
    bins = by_frequency([lost(n, 1.0) for n in (1, 3, 4, 15, 16, 64, 255, 256)])
    assert [(each.low, each.high, each.n_tokens) for each in bins] == [
        (1, 4, 2),
        (4, 16, 2),
        (16, 64, 1),
        (64, 256, 2),
        (256, 1024, 1),
    ]
    assert bins[0].middle == 2


def test_means_are_over_the_sample_not_over_tokens() -> None:
    (only,) = by_frequency([lost(5, 1.0, n=3, control=0.2), lost(9, 5.0, n=1, control=1.0)])
    assert only == FrequencyBin(4, 16, 2, 4, pytest.approx(2.0), pytest.approx(0.4))
    assert "ratio 5.00: 2 tokens that stand 4 to 15 times" in told_of_bin(only)


def test_tokens_that_count_nowhere_are_in_no_bin_and_not_drawn() -> None:
    tokens = (lost(0, 1.0), lost(2, 0.0), lost(2, 0.3))
    assert [each.n_tokens for each in by_frequency(tokens)] == [2]
    assert drawn(tokens) == tokens[2:]
    assert "3 different tokens, 3 in all" in summary(tokens)
    assert "1 are drawn" in summary(tokens)


def test_the_most_frequent_of_many_are_drawn() -> None:
    tokens = [lost(9, 0.1, n=n) for n in range(1, DRAWN_AT_MOST + 11)]
    shown = drawn(tokens)
    assert len(shown) == DRAWN_AT_MOST
    assert (shown[0].n, shown[-1].n) == (DRAWN_AT_MOST + 10, 11)


def test_the_costliest_by_sum_not_by_mean() -> None:
    often, rare = lost(90, 0.5, n=60, token=","), lost(2, 10.0, token="<b>")
    found = costliest([rare, often])
    assert [token.token for token, _ in found] == [",", "<b>"]
    assert [share for _, share in found] == pytest.approx([0.75, 0.25])
    shown = costliest_chips((rare, often))
    assert "&lt;b&gt;" in shown and "<b>" not in shown
    assert "75.0%" in shown


def test_nothing_is_said_where_nothing_is_lost() -> None:
    assert costliest([lost(3, 0.0)]) == ()
    assert costliest_chips((lost(3, 0.0),)) == ""
    assert by_frequency([]) == ()
