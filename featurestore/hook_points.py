"""What hook points carry, by their names."""

import re

_RESIDUAL = re.compile(
    r"hook_embed|hook_pos_embed|blocks\.\d+\."
    r"(hook_in|hook_out|hook_resid_(pre|mid|post)|hook_(attn|mlp)_out|(attn|mlp)\.hook_out)"
)


def is_residual(hook_name: str) -> bool:
    """Whether its vectors are parts of, or added to, the residual stream."""
    return _RESIDUAL.fullmatch(hook_name) is not None
