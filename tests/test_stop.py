import os
import signal

import pytest

from featurestore import stop as module
from featurestore.errors import Stopped
from featurestore.stop import Stop, stop_on_signals


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the time is, in its one place."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_nothing_happens_until_somebody_asks(clock: list[float]) -> None:
    stop = Stop()
    stop.check()
    stop.check(5)


def test_patience_lasts_as_long_as_it_says(clock: list[float]) -> None:
    stop = Stop()
    stop.ask(signal.SIGTERM)
    for now, is_over in [(100, False), (104.9, False), (105, True), (200, True)]:
        clock[0] = now
        if is_over:
            with pytest.raises(Stopped):
                stop.check(5)
        else:
            stop.check(5)
        with pytest.raises(Stopped):
            stop.check()


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_remembered_and_a_second_one_interrupts(
    number: int, exit_code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), number)
        assert capfd.readouterr().err.strip() == (
            "stopping after this block or step; press again to stop at once"
        )
        with pytest.raises(Stopped) as caught:
            stop.check()
        assert caught.value.exit_code == exit_code
        assert "the same command goes on" in str(caught.value)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_signals_are_given_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError, match="x"), stop_on_signals():
        raise ValueError("x")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
