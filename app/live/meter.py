"""How often the model may be asked: so many requests a minute, by each visitor and by all.

A token bucket: what is not used is saved up, to a minute's worth.
"""

import math
import time
from collections.abc import Callable
from threading import Lock

from featurestore.errors import Busy

ALL = 4
"""Visitors who may ask as fast as one may, at the same time."""


class Meter:
    """Requests a minute. Threads may share it."""

    def __init__(
        self, per_minute: int, whose: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = per_minute
        self._whose = whose
        self._clock = clock
        self._left = float(per_minute)
        self._at = clock()
        self._lock = Lock()

    def take(self) -> None:
        """Count a request.

        Raises:
            Busy: it is one too many; says when the next may come.
        """
        with self._lock:
            now = self._clock()
            earned = (now - self._at) * self._per_minute / 60
            self._left, self._at = min(self._left + earned, self._per_minute), now
            if self._left < 1:
                wait = math.ceil((1 - self._left) * 60 / self._per_minute)
                raise Busy(
                    f"{self._whose} may ask the model {self._per_minute:,} times a minute. Try "
                    f"again in {wait} s."
                )
            self._left -= 1
