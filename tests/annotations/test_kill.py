"""Several programs at once, and programs that die while they save."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from featurestore.annotations.database import Database
from featurestore.annotations.log import AnnotationLog
from tests.annotations.drafts import DIGEST, poured, replayed

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("ANNOTATION_KILLS", "10"))
"""Half as many pairs of programs are killed, one after the other, on one database."""


def saver(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.annotations.saver", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, bufsize=0)


def test_two_programs_that_annotate_the_same_features(url: str, log: AnnotationLog) -> None:
    with saver("edit", url, "Ann", 500) as ann, saver("edit", url, "Bob", 500) as bob:
        said = [line for one in (ann, bob) for line in one.stdout.read().splitlines()]
    assert (ann.returncode, bob.returncode) == (0, 0)
    returned = [json.loads(line) for line in said if line != b"ready"]
    events = [event for feature in range(50) for event in log.history(DIGEST, feature)]
    assert len(returned) == len(events) == 1000
    found = [[e.uid, e.feature, e.content.label, e.is_conflict] for e in events]
    assert sorted(found) == sorted(returned)
    wanted = {f"{author}'s {i}" for author in ("Ann", "Bob") for i in range(500)}
    assert {event.content.label for event in events} == wanted
    conflicts = log.conflicts(DIGEST)
    assert 0 < len(conflicts) == sum(is_conflict for *_, is_conflict in returned) < 500
    current = {feature: event for (_, feature), event in replayed(events).items()}
    assert log.current(DIGEST) == current
    assert set(log.all_current()) == set(current.values())


def test_what_was_saved_survives_kill_9(url: str) -> None:
    rng = random.Random(0)
    n_all = 0
    for pair in range(KILLS // 2):
        features = (2 * pair, 2 * pair + 1)
        with (
            saver("pour", url, "Ann", features[0]) as ann,
            saver("pour", url, "Bob", features[1]) as bob,
        ):
            for one in (ann, bob):
                assert one.stdout.read(6) == b"ready\n"
            for one in (ann, bob):
                one.stdout.readline()  # however busy the machine is, something is saved
            for one in (ann, bob):
                time.sleep(rng.random() * 0.12)
                one.send_signal(signal.SIGKILL)
            # Whole lines only: what was cut short was not said.
            said = [1 + one.stdout.read().count(b"\n") for one in (ann, bob)]
        n_all += sum(said)
        for author, feature, n_said in zip(("Ann", "Bob"), features, said, strict=True):
            check_survivor(url, author, feature, n_said)
    assert n_all > KILLS // 2 * 2  # they were killed in the midst of saving


def check_survivor(url: str, author: str, feature: int, n_said: int) -> None:
    """All that was said to be saved is there; what was not said can be saved once more, once."""
    database = Database(url)  # as a program that starts after the kill
    log = AnnotationLog(database)
    n_saved = len(log.history(DIGEST, feature))
    assert n_said <= n_saved <= n_said + 1
    again = [log.append(poured(author, feature, n_said)) for _ in range(2)]
    assert again[0] == again[1]
    history = log.history(DIGEST, feature)
    assert [event.content for event in history] == [
        poured(author, feature, i).content for i in range(n_said + 1)
    ]
    assert history[-1] == again[0]
    assert not any(event.is_conflict for event in history)
    replayed(history)
    database.close()
