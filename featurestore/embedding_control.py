"""A control for dictionaries of the embedding: the same model with other vectors for its tokens.

A dictionary of the embedding matrix finds features in rows that are drawn at random, too. What it
finds there in shuffled or random rows says how much of the rest is the embedding's own doing.
"""

import torch
from transformers import PreTrainedModel


@torch.no_grad()
def replace_embedding(model: PreTrainedModel, kind: str, seed: int) -> None:
    """Put other rows into a model's input embedding, drawn by a seed.

    `shuffled` gives each token the row of another, `random` a normally distributed one as long as
    its own. The unembedding keeps its weights: where both were one matrix, they are two after.
    """
    embedding, unembedding = model.get_input_embeddings(), model.get_output_embeddings()
    rows = embedding.weight.detach().float().cpu()
    if unembedding is not None and unembedding.weight is embedding.weight:
        unembedding.weight = torch.nn.Parameter(embedding.weight.detach().clone())
        model.config.tie_word_embeddings = False
    generator = torch.Generator().manual_seed(seed)
    if kind == "shuffled":
        rows = rows[torch.randperm(len(rows), generator=generator)]
    else:
        random = torch.randn(rows.shape, generator=generator)
        rows = random * (rows.norm(dim=1) / random.norm(dim=1))[:, None]
    embedding.weight.copy_(rows)
