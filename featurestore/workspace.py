"""The folder of a run that is not finished: its settings, its blocks, and locks.

    store/work/<run_id>/settings.json    all that decides the run's numbers
                        block-*.safetensors
                        ablation-*.safetensors, dependence-*.safetensors    see kept_rows
                        *.lock

It may be shared by any number of processes and machines, and is safe to delete.
"""

import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from featurestore.blocks import Block, BlockName
from featurestore.errors import BuildFailed, UnfinishedRun

logger = logging.getLogger(__name__)

Settings = dict[str, Any]

_WHAT = {"digests.corpus": " (the texts, the tokenizer or a key of [corpus])"}
"""What to look for where a digest differs."""


@dataclass(frozen=True)
class Workspace:
    """Where a run of a dictionary leaves its blocks."""

    store: Path
    run_id: str
    dictionary_id: str
    settings: Settings

    @property
    def folder(self) -> Path:
        """Of this run alone."""
        return self.store / "work" / self.run_id

    @property
    def published(self) -> Path:
        """The run's file in the store, once there is one."""
        return self.store / "dictionaries" / self.dictionary_id / f"{self.run_id}.duckdb"

    @property
    def blocks(self) -> list[Path]:
        """The blocks that there are."""
        return sorted(self.folder.glob("block-*.safetensors"))

    def open(self, discard: bool = False) -> None:
        """Make the folder, unless the dictionary has an unfinished run with other settings.

        Raises:
            UnfinishedRun: it has one, and `discard` does not allow to delete it.
            BuildFailed: the folder cannot be made, or the other run is being built.
        """
        for other in self._others():
            if not discard:
                raise UnfinishedRun(self._conflict(other))
            with other.alone():
                other.check_no_shard_runs()
                logger.info("%s: dropped unfinished run %s", self.dictionary_id, other.run_id)
                other.remove()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            content = {"dictionary_id": self.dictionary_id, "settings": self.settings}
            unfinished = self.folder / f"settings.{secrets.token_hex(8)}.tmp"
            unfinished.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
            os.replace(unfinished, self.folder / "settings.json")
        except OSError as error:
            raise BuildFailed(f"'{self.folder}' cannot be made: {error.strerror}.") from error

    def name(self, number: int) -> BlockName:
        """A block's."""
        return BlockName(self.run_id, number)

    def block(self, number: int) -> Block:
        """A block, read and compared with its header; BuildFailed if it cannot be used."""
        return Block(self.folder, self.name(number))

    def has(self, number: int) -> bool:
        """Whether there is a file of this number, which may be damaged."""
        return self.name(number).path(self.folder).exists()

    def drop_unusable(self, numbers: list[int]) -> None:
        """Delete those blocks that are damaged or belong to another run: they are made anew."""
        for number in filter(self.has, numbers):
            try:
                self.block(number)
            except BuildFailed as error:
                logger.warning("block %d is made anew: %s", number, error)
                self.name(number).path(self.folder).unlink(missing_ok=True)

    def n_bytes(self, number: int) -> int:
        """Size of a block's file."""
        return self.name(number).path(self.folder).stat().st_size

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def alone(self, shard: str | None = None, wait_s: float = 0.0) -> Iterator[None]:
        """Keep others from doing the same: building the run, or one shard of it.

        Raises:
            BuildFailed: somebody does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f"{f'shard-{shard}' if shard else 'build'}.lock")
        try:
            lock.acquire(timeout=wait_s)
        except Timeout as error:
            raise BuildFailed(
                f"Run {self.run_id} of '{self.dictionary_id}' is being built"
                f"{f' (shard {shard})' if shard else ''} by another process. "
                "Wait for it to end, or stop it; then run the same command again."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def check_no_shard_runs(self) -> None:
        """Raise BuildFailed if somebody is still sweeping a shard of the run."""
        for path in sorted(self.folder.glob("shard-*.lock")):
            with self.alone(path.stem.removeprefix("shard-")):
                pass

    def _others(self) -> Iterator["Workspace"]:
        """Runs of the same dictionary that stopped before their end, with something to lose."""
        for path in sorted(self.store.glob("work/*/settings.json")):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                other = Workspace(
                    self.store, path.parent.name, content["dictionary_id"], content["settings"]
                )
            except (OSError, ValueError, KeyError, TypeError):
                continue  # no run that could be gone on with
            if other.dictionary_id != self.dictionary_id or other.run_id == self.run_id:
                continue
            if other.blocks and not other.published.exists():
                yield other

    def _conflict(self, other: "Workspace") -> str:
        there, here = dict(_flat(other.settings)), dict(_flat(self.settings))
        differing = [
            f"{key}{_WHAT.get(key, '')}: "
            f"{_short(there.get(key))} there, {_short(here.get(key))} now"
            for key in sorted(there.keys() | here.keys())
            if there.get(key) != here.get(key)
        ]
        return (
            f"'{self.dictionary_id}' has an unfinished run with other settings "
            f"({len(other.blocks)} blocks in '{other.folder}'). Differing: "
            f"{'; '.join(differing)}. Set these back to finish it, or add --discard to delete it "
            "and start anew."
        )


def _flat(settings: Settings, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted keys and their values."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:12]}…{text[-4:]}"
