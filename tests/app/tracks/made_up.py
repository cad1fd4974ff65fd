"""The three checkpoints of known fates, followed."""

from pathlib import Path

from app.tracks.rows import Followed, followed
from app.tracks.selection import TrackSelection
from featurestore.checkpoints import read_checkpoints, training_order
from featurestore.store import Store

TRACKED = ("t1", "t2", "t3")


def follow(folder: Path, **chosen: object) -> Followed:
    """What a selection shows of a store of `tests.tracked_store`."""
    known = {info.dictionary_id: info for info in Store(folder).catalogue().dictionaries}
    selection = TrackSelection(**{"tracked": TRACKED} | chosen)
    infos = training_order(known[name] for name in selection.tracked)
    checkpoints = read_checkpoints(infos, Store(folder).pairs.beside)
    return followed(infos, checkpoints, selection)
