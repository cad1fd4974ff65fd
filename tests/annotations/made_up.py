"""A log of annotations of the small store's dictionaries."""

import itertools
from pathlib import Path

from featurestore.annotations.database import Database, default_url
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Draft, Event

_UIDS = itertools.count()


def open_log(store: Path) -> AnnotationLog:
    return AnnotationLog(Database(default_url(store)))


def draft(feature: int, content: Content, seen: int = 0, dictionary: str = "one") -> Draft:
    uid, digest = f"uid {next(_UIDS)}", f"digest of {dictionary}"
    return Draft(uid, "ada", digest, dictionary, feature, seen, content)


def say(log: AnnotationLog, feature: int, dictionary: str = "one", **content: object) -> Event:
    """Save over whatever is there."""
    head = log.current(f"digest of {dictionary}", [feature]).get(feature)
    seen = head.revision if head else 0
    return log.append(draft(feature, Content(**content), seen, dictionary))
