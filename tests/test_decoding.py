import torch

from featurestore.decoding import decode
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.encoder import Encoder


def test_sparse_decoding_is_dense_decoding() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((8, 30), (30,), (8,), (30, 6), (6,), (11, 6), (8, 6))
    parts = [torch.randn(shape, generator=generator) for shape in shapes]
    origin = Origin("tokenized", "hook_embed", "hook_embed")
    hidden = torch.randn(20, 8, generator=generator)
    tokens = torch.randint(0, 11, (20,), generator=generator)
    for lookup in (None, parts[5]):
        for nonlinearity in (Nonlinearity("relu"), Nonlinearity("signed_topk", k=4)):
            weights = (*parts[:5], nonlinearity, lookup, parts[6])
            dictionary = Dictionary(origin, *weights, standardisation="layer_norm")
            found = decode(dictionary, Encoder(dictionary).active(hidden), tokens, hidden)
            wanted = dictionary.decode(dictionary.encode(hidden), tokens, hidden)
            assert torch.allclose(found, wanted, atol=1e-5)


def test_nothing_active_decodes_to_the_bias() -> None:
    origin = Origin("sae", "hook_embed", "hook_embed")
    weights = [torch.zeros(2, 3), -torch.ones(3), torch.zeros(2), torch.ones(3, 2)]
    dictionary = Dictionary(origin, *weights, torch.tensor([1.0, 2.0]), Nonlinearity("relu"))
    hidden = torch.ones(4, 2)
    found = decode(dictionary, Encoder(dictionary).active(hidden), torch.zeros(4).long(), hidden)
    assert found.tolist() == [[1.0, 2.0]] * 4
