"""The models of Live in this process: loaded in the background, run one request at a time.

Nothing here, and so no page, loads torch before Live is opened; then a thread of its own does.
"""

import atexit
import functools
import gc
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.once_up import set_aside
from featurestore.errors import Busy, FeatureStoreError
from featurestore.live.records import Limits
from featurestore.records import DictionaryInfo
from featurestore.store import Store

MAX_WAITING = 8
"""Requests that may wait for the one that runs."""

Runner = Any
"""A `featurestore.live.runner.Runner`, whose import loads torch."""

Result = TypeVar("Result")


def make_runner(store: Store, limits: Limits) -> Runner:
    """Import what runs models: seconds, once."""
    from featurestore.live import runner

    return runner.Runner(store, limits)


@dataclass(frozen=True)
class State:
    """Which of some dictionaries can be run."""

    ready: tuple[str, ...]
    problems: dict[str, str]
    """Why others never can, a sentence each."""
    progress: float
    """Of loading, from 0 to 1; 1 when nothing is left to do."""
    doing: str
    """What is loaded now, in words; empty when nothing is."""


class Service:
    """A store's models and dictionaries. Threads may share it."""

    def __init__(
        self,
        store: Store,
        limits: Limits,
        make: Callable[[Store, Limits], Runner] = make_runner,
    ) -> None:
        self._make = functools.partial(make, store, limits)
        atexit.register(gc.unfreeze)  # what is set aside would outlive the interpreter
        self._runner: Runner = None
        self._running = threading.Lock()
        self._admitted = threading.BoundedSemaphore(1 + MAX_WAITING)
        self._state = threading.Lock()
        self._wanted: dict[str, DictionaryInfo] = {}
        self._settled: dict[str, str | None] = {}
        """For each run that was tried, why it cannot be run; None if it can."""
        self._doing = ""
        self._loader: threading.Thread | None = None

    def want(self, infos: Iterable[DictionaryInfo]) -> None:
        """Start loading dictionaries, unless they are loaded or on the way."""
        with self._state:
            self._wanted |= {i.run_id: i for i in infos if i.run_id not in self._settled}
            if self._loader is None:
                self._load_next()

    def state(self, infos: Iterable[DictionaryInfo]) -> State:
        """How far the loading of some dictionaries is."""
        infos = list(infos)
        with self._state:
            settled = {
                info.dictionary_id: self._settled[info.run_id]
                for info in infos
                if info.run_id in self._settled
            }
            doing = self._doing
        return State(
            ready=tuple(name for name, problem in settled.items() if problem is None),
            problems={name: problem for name, problem in settled.items() if problem},
            progress=len(settled) / len(infos) if infos else 1.0,
            doing=doing if len(settled) < len(infos) else "",
        )

    def retry(self, infos: Iterable[DictionaryInfo]) -> None:
        """Try again those that could not be loaded."""
        with self._state:
            failed = [info for info in infos if self._settled.get(info.run_id)]
            for info in failed:
                del self._settled[info.run_id]
        self.want(failed)

    def run(self, request: Callable[[Runner], Result]) -> Result:
        """The answer to a request, which waits for those before it.

        Raises:
            Busy: too many wait already.
        """
        if not self._admitted.acquire(blocking=False):
            raise Busy(f"{MAX_WAITING} requests wait for the model already. Try again in a moment.")
        try:
            with self._running:
                return request(self._runner)
        finally:
            self._admitted.release()

    def _load_next(self) -> None:
        """Start on the first that is wanted, in a thread of its own; under the lock."""
        self._loader, self._doing = None, ""
        for info in itertools.islice(self._wanted.values(), 1):
            loader = threading.Thread(
                target=self._load, args=(info,), daemon=True, name="live loader"
            )
            loader.start()
            self._loader = loader

    def _load(self, info: DictionaryInfo) -> None:
        """Load one, then the next; an error that nobody expects ends this thread alone, logged."""
        problem = f"'{info.dictionary_id}' cannot be loaded. The log of the app tells why."
        try:
            problem = self._load_one(info)
        finally:
            with self._state:
                self._settled[info.run_id] = problem
                del self._wanted[info.run_id]
                self._load_next()

    def _load_one(self, info: DictionaryInfo) -> str | None:
        """Why it cannot be run; None if it can. The first one brings the libraries with it."""

        def told(words: str) -> None:
            self._doing = words

        try:
            with self._running:
                if self._runner is None:
                    told("libraries")
                    self._runner = self._make()
                self._runner.load(info, told)
            if len(self._wanted) == 1:  # it is the last
                set_aside()
        except FeatureStoreError as error:
            return str(error)
        except (OSError, MemoryError, RuntimeError) as error:
            return f"'{info.dictionary_id}' cannot be loaded: {type(error).__name__}."
        return None
