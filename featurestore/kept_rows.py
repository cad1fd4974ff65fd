"""What a long pass has made so far, in files of the run's folder: a stopped build goes on there.

store/work/<run_id>/ablation-00000000-00000221.safetensors    of the features from 0 to 221
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.errors import BuildFailed
from featurestore.passes.base import Tables
from featurestore.stamped_file import read_stamped, write_stamped

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptRows:
    """Of one run, whose settings and code decide the rows."""

    folder: Path
    run_id: str

    def rows(self, name: str, features: range, make: Callable[[], Tables]) -> Tables:
        """What `make` gives of some features, by the name of its pass; made once for a run.

        Raises:
            BuildFailed: the disk does not take it.
        """
        path = self.folder / f"{name}-{features.start:08d}-{features.stop - 1:08d}.safetensors"
        stamp = {"run_id": self.run_id, "rows": path.stem}
        if path.exists():
            try:
                arrays = read_stamped(path, stamp)
                return {table: _table(array) for table, array in arrays.items()}
            except BuildFailed as error:
                logger.warning("%s is made anew: %s", path.stem, error)
        made = make()
        try:
            write_stamped(path, {table: _bytes(rows) for table, rows in made.items()}, stamp)
        except OSError as error:
            raise BuildFailed(
                f"'{path}' could not be written: {error.strerror}. Free space there and run the "
                "same build again: it goes on where it stopped."
            ) from error
        return made


def _bytes(rows: pa.Table) -> np.ndarray:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return np.frombuffer(sink.getvalue(), dtype=np.uint8)


def _table(array: np.ndarray) -> pa.Table:
    return pa.ipc.open_stream(pa.py_buffer(array)).read_all()
