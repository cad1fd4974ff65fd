"""The service with a runner that runs nothing, and waits wherever a test wants it to."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from app.live.service import MAX_WAITING, Service, State
from featurestore.errors import Busy, WeightsError
from featurestore.live.records import Limits
from featurestore.records import DictionaryInfo
from featurestore.store import Store

SECONDS = 20
"""After which a test that hangs fails."""


def make_info(name: str) -> DictionaryInfo:
    values = dict.fromkeys(field.name for field in fields(DictionaryInfo))
    return DictionaryInfo(**values | {"dictionary_id": name, "run_id": f"run of {name}"})


A, B, C = (make_info(name) for name in "abc")


class FakeRunner:
    """Fails where it is told to; counts what it does, and that it does one thing at a time."""

    def __init__(self, gated: bool = False) -> None:
        self.loaded: list[str] = []
        self.failures: dict[str, BaseException] = {}
        self.entered: queue.Queue[str] = queue.Queue()
        self.overlaps = 0
        self._alone = threading.Lock()
        self._gate = threading.Semaphore(0) if gated else None

    def load(self, info: DictionaryInfo, on_step: Callable[[str], None]) -> None:
        on_step(f"dictionary {info.dictionary_id}")
        with self.alone():
            self.pause(info.dictionary_id)
            if info.dictionary_id in self.failures:
                raise self.failures[info.dictionary_id]
            self.loaded.append(info.dictionary_id)

    @contextmanager
    def alone(self) -> Iterator[None]:
        is_alone = self._alone.acquire(blocking=False)
        self.overlaps += not is_alone
        yield
        if is_alone:
            self._alone.release()

    def pause(self, name: str) -> None:
        """Say that one is here; wait to be let on."""
        self.entered.put(name)
        if self._gate:
            assert self._gate.acquire(timeout=SECONDS)
        else:
            time.sleep(0)  # others may have the processor now

    def let_on(self, n: int = 1) -> None:
        self._gate.release(n)

    def now(self) -> str:
        """Who came here next."""
        return self.entered.get(timeout=SECONDS)


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """How often what is loaded was set aside: among all that tests load it takes long."""
    times: list[None] = []
    monkeypatch.setattr("app.live.service.set_aside", lambda: times.append(None))
    return times


def make_service(runner: FakeRunner, make: Callable | None = None) -> Service:
    return Service(Store(Path("no store")), Limits(), make or (lambda store, limits: runner))


def settle(service: Service) -> None:
    """Wait until nothing more is loaded."""
    while True:
        with service._state:
            loader = service._loader
        if loader is None:
            return
        loader.join(SECONDS)
        assert not loader.is_alive()


# Loading


def test_a_runner_is_made_of_the_store_and_the_limits() -> None:
    store, limits, given = Store(Path("no store")), Limits(1, 2), []
    service = Service(store, limits, lambda *args: given.append(args) or FakeRunner())
    assert given == []  # not before it is needed
    service.want([A])
    settle(service)
    service.want([B])
    settle(service)
    assert given == [(store, limits)]


def test_dictionaries_are_loaded_in_the_background_one_by_one() -> None:
    runner = FakeRunner(gated=True)
    service = make_service(runner)
    assert service.state([A, B, C]) == State((), {}, 0.0, "")
    service.want([A, B])
    assert runner.now() == "a"
    service.want([C, A])  # more is wanted while it loads
    assert service.state([A, B, C]) == State((), {}, 0.0, "dictionary a")
    runner.let_on()
    assert runner.now() == "b"
    assert service.state([A, B, C]) == State(("a",), {}, 1 / 3, "dictionary b")
    assert service.state([A]) == State(("a",), {}, 1.0, "")  # nothing of it is left to do
    assert service.state([]) == State((), {}, 1.0, "")
    runner.let_on(2)
    settle(service)
    assert service.state([C, A, B]) == State(("c", "a", "b"), {}, 1.0, "")
    assert runner.loaded == ["a", "b", "c"]


def test_libraries_come_first() -> None:
    runner, goes_on = FakeRunner(), threading.Event()
    is_made = threading.Event()

    def make(_: Store, __: Limits) -> FakeRunner:
        is_made.set()
        assert goes_on.wait(SECONDS)
        return runner

    service = make_service(runner, make)
    service.want([A])
    assert is_made.wait(SECONDS)
    assert service.state([A]) == State((), {}, 0.0, "libraries")
    goes_on.set()
    settle(service)
    assert service.state([A]) == State(("a",), {}, 1.0, "")


def test_what_is_loaded_is_not_loaded_again(kept: list[None]) -> None:
    runner = FakeRunner()
    service = make_service(runner)
    for wanted in ([A, A, B], [B, A], iter([A]), []):
        service.want(wanted)
        settle(service)
    assert runner.loaded == ["a", "b"]
    service.want([B, C])
    settle(service)
    assert runner.loaded == ["a", "b", "c"]
    assert len(kept) == 2  # after the last that was wanted, each time


def test_many_who_want_the_same_load_it_once() -> None:
    infos = [make_info(str(i)) for i in range(30)]
    n_threads, made = 16, []
    start = threading.Barrier(n_threads)
    runner = FakeRunner()
    service = make_service(runner, lambda *_: made.append(1) or runner)

    def want(i: int) -> None:
        start.wait(SECONDS)
        service.want(infos[i:] + infos[:i])

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(want, range(n_threads)))
    settle(service)
    assert sorted(runner.loaded) == sorted(info.dictionary_id for info in infos)
    assert len(made) == 1
    assert service.state(infos).progress == 1


def test_problems_are_kept_apart_and_can_be_tried_again() -> None:
    runner = FakeRunner()
    runner.failures["b"] = WeightsError("The weights of 'b' are gone.")
    service = make_service(runner)
    service.want([A, B, C])
    settle(service)
    gone = State(("a", "c"), {"b": "The weights of 'b' are gone."}, 1.0, "")
    assert service.state([A, B, C]) == gone
    service.want([A, B, C])  # is not tried again by itself
    settle(service)
    assert service.state([A, B, C]) == gone
    runner.failures.clear()
    service.retry([A, B])  # others may wait for it already, so nobody else need want it
    settle(service)
    assert service.state([A, B, C]) == State(("a", "b", "c"), {}, 1.0, "")
    assert runner.loaded == ["a", "c", "b"]


@pytest.mark.parametrize("kind", [OSError, MemoryError, RuntimeError])
def test_what_may_go_wrong_is_named(kind: type[Exception]) -> None:
    runner = FakeRunner()
    runner.failures["a"] = kind("what may not be shown")
    service = make_service(runner)
    service.want([A, B])
    settle(service)
    problem = f"'a' cannot be loaded: {kind.__name__}."
    assert service.state([A, B]) == State(("b",), {"a": problem}, 1.0, "")


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """The kinds of errors that ended threads; Python prints them otherwise."""
    found = []
    monkeypatch.setattr(threading, "excepthook", lambda args: found.append(args.exc_type))
    return found


@pytest.mark.parametrize("kind", [ImportError, ValueError, KeyError, TypeError])
def test_whatever_goes_wrong_the_page_is_not_left_waiting(
    logged: list[type[BaseException]], kind: type[Exception]
) -> None:
    runner = FakeRunner()
    runner.failures["a"] = kind("what may not be shown")
    service = make_service(runner)
    service.want([A, B])
    settle(service)
    problem = "'a' cannot be loaded. The log of the app tells why."
    assert service.state([A, B]) == State(("b",), {"a": problem}, 1.0, "")
    assert logged == [kind]


def test_libraries_that_cannot_be_loaded_are_told_and_tried_again(
    logged: list[type[BaseException]],
) -> None:
    runner, failures = FakeRunner(), [ImportError("no torch"), ImportError("no torch")]

    def make(_: Store, __: Limits) -> FakeRunner:
        if failures:
            raise failures.pop()
        return runner

    service = make_service(runner, make)
    service.want([A, B])
    settle(service)
    found = service.state([A, B])
    assert found.ready == () and found.problems.keys() == {"a", "b"}
    assert (found.progress, found.doing) == (1.0, "")
    assert logged == [ImportError] * 2
    service.retry([A, B])
    settle(service)
    assert service.state([A, B]) == State(("a", "b"), {}, 1.0, "")


# Requests


@pytest.fixture
def gated() -> tuple[Service, FakeRunner]:
    """A service whose runner waits to be let on, with nothing left to load."""
    runner = FakeRunner(gated=True)
    service = make_service(runner)
    service.want([A])
    assert runner.now() == "a"
    runner.let_on()
    settle(service)
    return service, runner


def crowd(service: Service, pool: ThreadPoolExecutor) -> list[Future[int]]:
    """As many requests as there is room for, all of them in; the n-th answers n."""

    def request(n: int, runner: FakeRunner) -> int:
        with runner.alone():
            runner.pause(f"request {n}")
            return n

    asked = [
        pool.submit(service.run, lambda runner, n=n: request(n, runner))
        for n in range(1 + MAX_WAITING)
    ]
    end = time.monotonic() + SECONDS
    while service._admitted._value and time.monotonic() < end:
        time.sleep(0.001)
    assert service._admitted._value == 0
    return asked


def test_a_request_gets_the_runner_and_its_answer_is_given_back(
    gated: tuple[Service, FakeRunner],
) -> None:
    service, runner = gated
    assert service.run(lambda given: [given]) == [runner]


def test_one_more_than_fit_is_refused_at_once(gated: tuple[Service, FakeRunner]) -> None:
    service, runner = gated
    with ThreadPoolExecutor(1 + MAX_WAITING) as pool:
        for _ in range(2):  # the slots are all given back
            asked = crowd(service, pool)
            for _ in range(3):  # refusing takes and gives none
                with pytest.raises(Busy, match=f"{MAX_WAITING} requests wait.*Try again"):
                    service.run(lambda _: pytest.fail("it was admitted"))
            first = runner.now()
            assert runner.entered.empty()  # the others wait
            assert not any(one.done() for one in asked)
            runner.let_on()
            assert runner.now() != first
            runner.let_on(MAX_WAITING)
            answers = [one.result(SECONDS) for one in asked]
            assert answers == list(range(1 + MAX_WAITING))
            while not runner.entered.empty():
                runner.now()
    assert runner.overlaps == 0


def test_a_request_that_fails_gives_its_slot_back(gated: tuple[Service, FakeRunner]) -> None:
    service, runner = gated
    for _ in range(3 * (1 + MAX_WAITING)):
        with pytest.raises(ZeroDivisionError):
            service.run(lambda _: 1 // 0)
    with ThreadPoolExecutor(1 + MAX_WAITING) as pool:
        asked = crowd(service, pool)
        with pytest.raises(Busy):
            service.run(lambda _: None)
        runner.let_on(1 + MAX_WAITING)
        assert [one.result(SECONDS) for one in asked] == list(range(1 + MAX_WAITING))


def test_a_request_waits_for_a_dictionary_that_loads(gated: tuple[Service, FakeRunner]) -> None:
    service, runner = gated
    service.want([B])
    assert runner.now() == "b"
    with ThreadPoolExecutor(1 + MAX_WAITING) as pool:
        asked = crowd(service, pool)
        assert runner.entered.empty()
        runner.let_on(2 + MAX_WAITING)
        assert [one.result(SECONDS) for one in asked] == list(range(1 + MAX_WAITING))
    settle(service)
    assert runner.overlaps == 0


def test_whatever_runs_runs_alone() -> None:
    runner = FakeRunner()
    service = make_service(runner)
    service.want([A])
    settle(service)
    infos = [make_info(str(i)) for i in range(100)]
    start = threading.Barrier(8)

    def request(given: FakeRunner) -> int:
        with given.alone():
            given.pause("request")
            return 1

    def visit(i: int) -> int:
        start.wait(SECONDS)
        n_answers = 0
        for n in range(50):
            service.want(infos[(i + n) % 100 :])
            n_answers += service.run(request)
        return n_answers

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(visit, range(8))) == 400
    settle(service)
    assert sorted(runner.loaded) == sorted(["a", *map(str, range(100))])
    assert runner.overlaps == 0
