import pytest

from app.live.meter import Meter
from featurestore.errors import Busy


def test_a_minute_s_worth_at_once_then_one_by_one() -> None:
    now = [0.0]
    meter = Meter(30, "A visitor", lambda: now[0])
    for _ in range(30):
        meter.take()
    with pytest.raises(
        Busy, match=r"^A visitor may ask the model 30 times a minute\. Try again in 2 s\.$"
    ):
        meter.take()
    now[0] = 1.0
    with pytest.raises(Busy, match="in 1 s"):
        meter.take()
    now[0] = 2.0
    meter.take()
    with pytest.raises(Busy):
        meter.take()


def test_no_more_than_a_minute_is_saved_up() -> None:
    now = [0.0]
    meter = Meter(5, "A visitor", lambda: now[0])
    now[0] = 10_000.0
    for _ in range(5):
        meter.take()
    with pytest.raises(Busy, match="in 12 s"):
        meter.take()
