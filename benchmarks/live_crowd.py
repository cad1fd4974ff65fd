"""What many visitors of Live in one moment do to the app, and to whoever looks at other pages."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil

from benchmarks.browser import app
from benchmarks.visitor import Seen, Visitor

N_VISITORS = 50
N_ROUNDS = 5


def measure_crowd(store: Path, dictionary: str) -> dict[str, float | int | str]:
    """Let all ask at once, and open Browse again and again until the last is answered."""
    with app(store) as (address, process), ExitStack() as sessions:
        crowd = [sessions.enter_context(Visitor(address)) for _ in range(N_VISITORS)]
        other = sessions.enter_context(Visitor(address))
        for visitor in crowd:  # the first waits for libraries and weights
            visitor.see("live", f"dictionaries={dictionary}")
        used = psutil.Process(process.pid)
        before = used.memory_info().rss
        waits, seen = [], []
        for number in range(N_ROUNDS):
            with ask_at_once(crowd, dictionary, number) as answers:
                while not all(one.done() for one in answers):
                    start = time.perf_counter()
                    other.see("", f"dictionary={dictionary}")
                    waits.append(time.perf_counter() - start)
            seen += [one.result() for one in answers]
        grown = used.memory_info().rss - before
        p50, p95 = np.percentile(waits, (50, 95))
    return {
        "benchmark": "live_crowd",
        "visitors": N_VISITORS,
        "busy": sum(was_busy(one) for one in seen),
        "failed": sum(bool(one.exceptions) for one in seen),
        "rounds": N_ROUNDS,
        "browse_p50_s": round(float(p50), 3),
        "browse_p95_s": round(float(p95), 3),
        "n": len(waits),
        "grown_mb": round(grown / 1e6),
    }


@contextmanager
def ask_at_once(
    crowd: list[Visitor], dictionary: str, number: int = 0
) -> Iterator[list[Future[Seen]]]:
    """Every visitor pastes another text and looks at what is lost on it: five forwards each."""
    query = f"dictionaries={dictionary}&tab=reconstruction&text=import+os+{number}+"
    with ThreadPoolExecutor(len(crowd)) as pool:
        yield [pool.submit(one.see, "live", f"{query}{i}") for i, one in enumerate(crowd)]


def was_busy(seen: Seen) -> bool:
    """Whether a visitor was told to come again."""
    return any("Try again in" in html for html in seen.html)


def crowd_as_text(found: dict[str, float | int | str]) -> str:
    """A line for people."""
    return (
        f"{'':>4} crowd: {found['visitors']} at once, {found['rounds']} times: {found['busy']} "
        f"were told to come again, {found['failed']} failed; Browse after "
        f"{found['browse_p50_s']:.2f} s (p95 {found['browse_p95_s']:.2f} s, n {found['n']}); "
        f"{found['grown_mb']} MB more"
    )
