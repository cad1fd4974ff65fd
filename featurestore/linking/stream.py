"""Where hook points stand along the residual stream, and which dictionaries a link may join.

    hook_embed  →  resid_pre  →  ln1, attention  →  attn_out  →  resid_mid  →  ln2, MLP  →  mlp_out
                →  resid_post, which is the next block's resid_pre  →  ...

A link goes from a dictionary that writes into the stream to one that reads from it further on. What
attention heads or neurons give is not in the stream, and what attention and MLP add to it is read
there only as a part of it. Where attention and MLP of a block stand side by side, the MLP does not
read what the attention of its own block adds: `readers` sees that from the model.
"""

import re
from dataclasses import dataclass
from typing import Literal

from featurestore.records import DictionaryInfo

Role = Literal["stream", "added", "norm"]
"""The stream itself; what is added to it; what a normalisation makes of it."""

STEPS = 6
"""Of a block: the stream after it is the stream before the next."""

_POINTS: dict[str, tuple[int, Role]] = {
    "hook_resid_pre": (0, "stream"),
    "hook_in": (0, "stream"),
    "ln1.hook_normalized": (1, "norm"),
    "ln1.hook_out": (1, "norm"),
    "attn.hook_in": (1, "norm"),
    "hook_attn_out": (2, "added"),
    "hook_resid_mid": (3, "stream"),
    "ln2.hook_normalized": (4, "norm"),
    "ln2.hook_out": (4, "norm"),
    "mlp.hook_in": (4, "norm"),
    "hook_mlp_out": (5, "added"),
    "hook_resid_post": (STEPS, "stream"),
    "hook_out": (STEPS, "stream"),
}
_EMBEDDINGS = ("hook_embed", "hook_pos_embed")
_IN_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


@dataclass(frozen=True)
class Place:
    """Where a hook point stands."""

    step: int
    """Rises along the stream; -1 for embeddings."""
    role: Role

    @property
    def is_written(self) -> bool:
        """Whether vectors of this point are parts of the stream."""
        return self.role != "norm"

    @property
    def is_read(self) -> bool:
        """Whether a direction in the stream is a direction of this point's vectors."""
        return self.role != "added"


def place(hook_name: str) -> Place | None:
    """Where a hook point stands; None if it is not known to be on the stream."""
    if hook_name in _EMBEDDINGS:
        return Place(-1, "added")
    found = _IN_BLOCK.fullmatch(hook_name)
    if not found or found[2] not in _POINTS:
        return None
    step, role = _POINTS[found[2]]
    return Place(STEPS * int(found[1]) + step, role)


def refusal(upstream: DictionaryInfo, downstream: DictionaryInfo) -> str | None:
    """Why features of one cannot feed those of the other, in a sentence; None if they can."""
    up, down = f"'{upstream.dictionary_id}'", f"'{downstream.dictionary_id}'"
    if upstream.dictionary_id == downstream.dictionary_id:
        return f"{up} was given twice. Give two dictionaries."
    if upstream.digests["model"] != downstream.digests["model"]:
        return f"{up} and {down} were built on different models, so neither feeds the other."
    written, read = place(upstream.hook_name_out), place(downstream.hook_name)
    if written is None or not written.is_written:
        return (
            f"{up} writes to {upstream.hook_name_out}, which is no part of the residual stream. "
            "Links start at hook_resid_pre, _mid or _post, hook_attn_out, hook_mlp_out or "
            "hook_embed."
        )
    if read is None or not read.is_read:
        return (
            f"{down} reads {downstream.hook_name}, which is neither the residual stream nor a "
            "normalisation of it. Links end at hook_resid_pre, _mid or _post, attn.hook_in, "
            "mlp.hook_in, or hook_out or hook_normalized of ln1 or ln2."
        )
    if written.step == read.step:
        return f"{up} writes where {down} reads, at {downstream.hook_name}: nothing is between."
    if written.step > read.step:
        turned = refusal(downstream, upstream) is None
        cure = " Give them in the other order." if turned else ""
        return (
            f"{up} writes to {upstream.hook_name_out}, which comes after {downstream.hook_name}, "
            f"where {down} reads.{cure}"
        )
    if upstream.d_out != downstream.d_in:
        return (
            f"{up} writes {upstream.d_out} dimensions and {down} reads {downstream.d_in}: they "
            "have no products."
        )
    return None
