"""Ending a build in good order: a signal is remembered, and obeyed at the next good place."""

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from featurestore.errors import Stopped

PATIENCE_S = 5.0
"""How long a block may still take to be finished once the build was told to stop."""

HEARD = b"\nstopping after this block or step; press again to stop at once\n"
"""What is said of the first signal, on stderr."""


class Stop:
    """Whether a build was told to stop."""

    def __init__(self) -> None:
        self._signal = 0
        self._asked_at = 0.0

    def ask(self, number: int, _frame: FrameType | None = None) -> None:
        """Take note of a signal, and say so; a second one interrupts whatever is being done."""
        if self._signal:
            raise KeyboardInterrupt
        self._signal, self._asked_at = number, time.monotonic()
        with suppress(OSError):  # nobody may be there to read it
            os.write(2, HEARD)  # a stream may be in the middle of a line of its own

    def check(self, patience_s: float = 0.0) -> None:
        """Raise Stopped if a signal came, and came more than `patience_s` ago."""
        if self._signal and time.monotonic() - self._asked_at >= patience_s:
            raise Stopped(self._signal)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A Stop that SIGINT and SIGTERM ask, for as long as the block lasts; main thread only."""
    stop = Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop.ask) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def end_with(sentinel: int) -> None:
    """For a thread of a worker: a parent that is killed cannot end its workers; `sentinel` tells.

    Here and with `select`, since a thread that waits while its process ends keeps its modules and
    all that they refer to: DuckDB, kept so, prints pages about it.
    """
    select.select([sentinel], [], [])
    os._exit(1)
