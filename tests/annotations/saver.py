"""A program that annotates, for tests of several at once: python -m tests.annotations.saver ...

    edit <url> <author> <n>         n edits as a user makes them: read, think, save
    pour <url> <author> <feature>   one draft of a feature after the other, until killed

It says "ready", and then what it saved, once it is saved.
"""

import itertools
import json
import os
import random
import sys
import time

from featurestore.annotations.database import Database
from featurestore.annotations.log import AnnotationLog
from tests.annotations.drafts import DIGEST, draft, poured


def say(line: str) -> None:
    """Write past Python's buffers, so that what was said was said before any kill."""
    os.write(1, f"{line}\n".encode())


def edit(log: AnnotationLog, author: str, n: int) -> None:
    rng = random.Random(author)
    for i in range(n):
        feature = rng.randrange(50)
        head = log.current(DIGEST, [feature]).get(feature)
        time.sleep(rng.random() * 0.002)
        seen = head.revision if head else 0
        mine = draft(feature, seen, f"{author}'s {i}", uid=f"{author} {i}", author=author)
        event = log.append(mine)
        say(json.dumps([event.uid, event.feature, event.content.label, event.is_conflict]))


def pour(log: AnnotationLog, author: str, feature: int) -> None:
    for i in itertools.count():
        say(log.append(poured(author, feature, i)).uid)


if __name__ == "__main__":
    program, url, author, number = sys.argv[1:]
    log = AnnotationLog(Database(url))
    say("ready")
    {"edit": edit, "pour": pour}[program](log, author, int(number))
