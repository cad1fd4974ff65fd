"""A Hugging Face model with plain hooks, to compare with: nothing of ours runs."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from transformers import PreTrainedModel

from tests.tiny_model import module_of

Change = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def plain_logits(
    hf_model: PreTrainedModel, tokens: np.ndarray, changes: Mapping[str, Change]
) -> torch.Tensor:
    """The model's own logits, with the vectors at some hook points changed by plain hooks."""
    handles = []
    for name, change in changes.items():
        module, is_input = module_of(hf_model, name)

        def first(values: object, change: Change = change) -> object:
            """The first of several is the vectors."""
            if isinstance(values, tuple):
                return (change(values[0]), *values[1:])
            return change(values)

        if is_input:
            hook = module.register_forward_pre_hook(lambda _, args, first=first: first(args))
        else:
            hook = module.register_forward_hook(lambda _, args, out, first=first: first(out))
        handles.append(hook)
    found = hf_model(torch.from_numpy(tokens).long()).logits
    for handle in handles:
        handle.remove()
    return found
