"""Train the demo's tokenizer and language model, and save the model at several steps.

A GPT-2 of 1.9 million parameters (4 layers, d_model 160, 5 heads, 4,096 tokens). Each checkpoint is
a Hugging Face folder with its tokenizer, in float16. Run it by `python -m featurestore.demo train`.
"""

import logging
import math
import time
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int32
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from featurestore.corpus import Corpus, make_corpus
from featurestore.documents import Document

logger = logging.getLogger(__name__)

BOS = "<|endoftext|>"
D_VOCAB = 4096
CONTEXT_LENGTH = 128
CHECKPOINTS = (250, 1000, 2000, 4000)
BATCH = 32
PEAK_LEARNING_RATE = 2e-3


def train_tokenizer(documents: list[Document]) -> PreTrainedTokenizerFast:
    """Byte-level BPE of 4,096 tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=D_VOCAB,
        special_tokens=[BOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((document.text for document in documents), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS, model_max_length=CONTEXT_LENGTH
    )


def train_model(documents: list[Document], folder: Path, seed: int = 0) -> None:
    """Train on the documents and write `folder/step-N` for every N in CHECKPOINTS."""
    tokenizer = train_tokenizer(documents)
    corpus = make_corpus(documents, tokenizer, CONTEXT_LENGTH, prepend_bos=True)
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(_config(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.05)
    total, started = max(CHECKPOINTS), time.monotonic()
    for step, rows in enumerate(_batches(corpus, total, seed), start=1):
        optimizer.param_groups[0]["lr"] = _learning_rate(step, total)
        loss = _loss(model, corpus, rows)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            elapsed = time.monotonic() - started
            logger.info("model step %d loss %.3f, %.0f s", step, loss.item(), elapsed)
        if step in CHECKPOINTS:
            save_checkpoint(model, tokenizer, folder / f"step-{step}")


def save_checkpoint(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Write a Hugging Face folder in float16."""
    half = GPT2LMHeadModel(model.config).half()
    half.load_state_dict(model.state_dict())
    half.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _config(tokenizer: PreTrainedTokenizerFast) -> GPT2Config:
    return GPT2Config(
        vocab_size=D_VOCAB,
        n_positions=CONTEXT_LENGTH,
        n_embd=160,
        n_layer=4,
        n_head=5,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def _batches(corpus: Corpus, n_steps: int, seed: int) -> "list[Int32[np.ndarray, ' batch']]":
    """Context numbers of each step: every context once per pass over the corpus, shuffled."""
    rng = np.random.default_rng(seed)
    n_contexts = len(corpus.tokens)
    n_passes = math.ceil(n_steps * BATCH / n_contexts)
    order = np.concatenate([rng.permutation(n_contexts) for _ in range(n_passes)])
    return [order[i * BATCH : (i + 1) * BATCH] for i in range(n_steps)]


def _loss(
    model: GPT2LMHeadModel, corpus: Corpus, rows: Int32[np.ndarray, " batch"]
) -> torch.Tensor:
    tokens = torch.from_numpy(corpus.tokens[rows]).long()
    n_valid = torch.from_numpy(corpus.n_valid[rows])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(tokens).logits[:, :-1]
    targets = tokens[:, 1:].clone()
    targets[torch.arange(1, tokens.shape[1])[None, :] >= n_valid[:, None]] = -100
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def _learning_rate(step: int, total: int, n_warmup: int = 100) -> float:
    """Linear warm-up, then a cosine down to a twentieth of the peak."""
    if step < n_warmup:
        return PEAK_LEARNING_RATE * step / n_warmup
    progress = (step - n_warmup) / (total - n_warmup)
    return PEAK_LEARNING_RATE * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))
