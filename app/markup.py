"""Small pieces of HTML, every value escaped. Pure; their looks are in style.css."""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from html import escape

from app.numerals import exact, short
from featurestore.live.records import Recomputed
from featurestore.records import (
    DENSE_ABOVE,
    ONE_TOKEN_FROM,
    DictionaryInfo,
    Feature,
    ListPlace,
)

_DIGITS = 12
"""Of a digest that are shown; its tip has all."""
_FACTS = {
    "hook_name": "{}",
    "model_name": "{}",
    "model_step": "model step {:,}",
    "step": "step {:,}",
}
"""What tells dictionaries from each other, beside their kind, and in which words."""
_COMMAND = re.compile(r"python -m [^\n;]+")
_OPTION = re.compile(r"(?<!\S)--[\w-]+")

TEXT_PLACES = {
    "contexts": "top contexts",
    "sampled": "sampled contexts",
    "documents": "sampled documents",
    "annotations": "label, note, tags",
    "explanations": "explanations",
}
"""Where a text is looked for, in words."""

COLUMN_WORDS = {
    "feature": "number",
    "density": "density",
    "n_active": "active tokens",
    "max_activation": "max activation",
    "mean_activation": "mean activation",
    "std_activation": "std activation",
    "skewness": "skewness",
    "kurtosis": "kurtosis",
    "decoder_norm": "decoder norm",
    "logit_std": "logit std",
    "logit_kurtosis": "logit kurtosis",
    "ablation_kl": "ablation KL",
    "kl_percentile": "above random",
    "loss_effect": "loss effect",
    "nearest_cos": "nearest cosine",
    "cluster": "cluster",
    "token_share": "token share",
    "token_entropy": "token entropy",
    "n_unigrams": "single tokens",
    "unigram_cos": "token cosine",
    "dim_share": "dimension share",
    "reader_bias": "reader bias",
    "reader_cos": "reader cosine",
    "match": "match with the search",
    "random": "random order",
}
"""What a column of the list is called on the screen."""

COLUMN_HELP = {
    "n_active": "Counted tokens on which it is active.",
    "density": "Share of the counted tokens on which it is active.",
    "max_activation": "Its largest activation, in the dictionary's own units.",
    "mean_activation": "Mean over its active tokens.",
    "std_activation": "Standard deviation over its active tokens.",
    "skewness": "Of its activations: above 0 if a few are much higher than the rest.",
    "kurtosis": "Of its activations; 3 for a normal distribution.",
    "token_share": "Share of its summed activation on the token that has most of it. High: simple, "
    f"if it is active on {ONE_TOKEN_FROM} tokens or more; on fewer it tells nothing.",
    "token_entropy": "Of these shares over tokens, in nats: 0 if all is on one, log n if evenly on "
    "n of them.",
    "n_unigrams": "Tokens of the vocabulary on which alone, after BOS, it is active.",
    "unigram_cos": "Largest cosine of its direction with the hidden vector of a token after BOS, "
    "these less their mean.",
    "logit_std": "Standard deviation of its direction's logits over the vocabulary.",
    "logit_kurtosis": "How far few tokens stand out among its logits; 3 for a normal distribution.",
    "nearest_cos": "Largest cosine of its direction with another of the dictionary.",
    "dim_share": "Share of its direction's squared length on one dimension of the model, the "
    "largest: 1 if it is that dimension.",
    "decoder_norm": "Length of its direction.",
    "reader_cos": "Cosine of its direction with the one that it reads.",
    "reader_bias": "What the encoder adds before an activation, in its units.",
    "ablation_kl": "How far the next token's probabilities move when it is switched off: mean KL "
    "divergence over a sample of its active tokens, in nats.",
    "kl_percentile": "Of ablations by random directions of the same length there, those with less "
    "KL, in percent: 50 is chance.",
    "loss_effect": "Loss without the feature less loss with it, in nats: above 0 the loss is lower "
    "with it.",
    "cluster": "Its group on the map of directions; 0 is the largest.",
}
"""What it says of a feature, with the unit."""

WORDS = {
    "feature": "A direction of the dictionary. It is active on a token when its activation there "
    "is not zero.",
    "density": "Share of the counted tokens on which it is active. Dense: more than "
    f"{DENSE_ABOVE:.0%}. Dead: none.",
    "context": "A piece of the corpus as the model read it, of fixed length.",
    "peaks on": "The tokens on which it is highest in its top contexts.",
    "logit lens": "The logits of its direction, were it written straight to the output: promotes "
    "the tokens raised most, suppresses those lowered most. Compare within a feature, not between "
    "two; it is no measured effect.",
    "logit kurtosis": "How far few tokens stand out among its logits; 3 for a normal distribution.",
    "KL off": "How far the next token's probabilities move when the feature is removed: KL "
    "divergence in nats. Beside it the same for random directions as long, and above: how many "
    "of these move them less, each on its own context.",
    "token share": COLUMN_HELP["token_share"],
    "nearest": "Largest cosine of its direction with another of the dictionary. By chance: what is "
    "to be expected of as many random directions.",
    "cluster": "Its group on the map of directions; 0 is the largest.",
    "verdict": "What people say of it: monosemantic has one meaning, polysemantic several, junk "
    "none that matters.",
}
"""What the pages' words mean."""


LIVE_WORDS = {
    "density": WORDS["density"],
    "of its max": "The largest activation here, as a share of the largest in the corpus; above 1, "
    "the text drives the feature further than any of the corpus.",
    "chosen": "The sum of a feature's activations at the tokens that you clicked.",
    "BOS": "The token that opens every text, where the build put one. It has no position here, and "
    "no number counts it.",
    "error": "The length of what the dictionary does not give back of the model's vector, as a "
    "share of the vector's own.",
    "KL": "How far the next token's probabilities move, in nats: 0 if not at all.",
    "random": "The same for a change as long in a random direction: what any change of this size "
    "would do.",
    "Δ": "Text A minus text B. Means are over all tokens of a text, silent ones too.",
}
"""What the words on Live mean."""


def note(text: str, kind: str) -> str:
    """A sentence to the user; a command in it is set apart."""
    body, at = "", 0
    for found in _COMMAND.finditer(text):
        body += f"{escape(text[at : found.start()])}{_command(found.group())}"
        at = found.end()
    return f'<div class="fb-note fb-{kind}" role="status">{body}{escape(text[at:])}</div>'


def _command(text: str) -> str:
    """A command; an option is not broken after its hyphens."""
    return "<code>" + _OPTION.sub(r"<span>\g<0></span>", escape(text)) + "</code>"


def line(parts: Iterable[str | tuple[str, str]]) -> str:
    """Facts in a row; a pair is a fact and the text that hovering shows."""
    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    spans = "".join(f'<span title="{escape(tip)}">{escape(fact)}</span>' for fact, tip in pairs)
    return f'<div class="fb-line fb-muted"><div>{spans}</div></div>'


def part(title: str, detail: str = "") -> str:
    """The heading of a part of a page; hovering over one of our words says what it means."""
    tip = WORDS.get(title.lower(), "")
    name = f'<span title="{escape(tip)}">{escape(title)}</span>'
    return f'<div class="fb-part">{name} <small>{escape(detail)}</small></div>'


def heading(title: str, detail: str) -> str:
    """The heading of a page."""
    return f'<h1 class="fb-heading">{escape(title)} <small>{escape(detail)}</small></h1>'


def stats(rows: Iterable[tuple[str, str, str]], is_wide: bool = False) -> str:
    """Name, value and hover text of each number."""
    cells = "".join(
        f'<div title="{escape(tip)}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>'
        for name, value, tip in rows
    )
    return f'<dl class="fb-stats{" fb-wide" if is_wide else ""}">{cells}</dl>'


def keys(rows: Iterable[tuple[str, str]]) -> str:
    """The list of keys and what they do."""
    cells = "".join(
        f"<tr><td><kbd>{escape(key)}</kbd></td><td>{escape(deed)}</td></tr>" for key, deed in rows
    )
    return f'<table class="fb-keys">{cells}</table>'


def words(rows: Iterable[tuple[str, str]]) -> str:
    """Words and what they mean."""
    cells = "".join(
        f"<tr><td>{escape(word)}</td><td>{escape(meaning)}</td></tr>" for word, meaning in rows
    )
    return f'<table class="fb-keys fb-words">{cells}</table>'


def dictionary_label(info: DictionaryInfo) -> str:
    """A dictionary in the picker's list."""
    return f"{info.dictionary_id} · {dictionary_facts(info)}"


def model(info: DictionaryInfo) -> str:
    """Its model, and at which step of training: numbers compare within one."""
    step = "" if info.model_step is None else f" at step {info.model_step:,}"
    return f"{info.model_name}{step}"


def dictionary_facts(info: DictionaryInfo, among: Collection[DictionaryInfo] = ()) -> str:
    """What tells a dictionary from its neighbours, beside its name.

    Of several that are given, what all of them share is left out.
    """
    told = [
        words.format(getattr(info, field))
        for field, words in _FACTS.items()
        if getattr(info, field) is not None and _differs(field, among)
    ]
    return " · ".join([info.kind, *told])


def _differs(field: str, among: Collection[DictionaryInfo]) -> bool:
    if len(among) < 2:
        return field != "model_name"
    return len({getattr(one, field) for one in among}) > 1


def dictionary_line(info: DictionaryInfo) -> str:
    """What a dictionary is, in one line."""
    steps = [("step", info.step), ("model step", info.model_step)]
    hook = f"{info.hook_name} → {info.hook_name_out}" if info.is_transcoder else info.hook_name
    return line(
        [
            (info.kind, "Kind of dictionary"),
            (info.model_name, "Model"),
            (hook, "Hook point"),
            *((f"{name} {step:,}", "") for name, step in steps if step is not None),
            (f"{info.n_features:,} features", ""),
            (f"{info.n_tokens:,} tokens", f"Counted in '{info.corpus_name}'"),
        ]
    )


def feature_stats(feature: Feature, info: DictionaryInfo) -> str:
    """The numbers of a feature, with the number of tokens that they rest on."""
    n_tokens = f"{feature.n_active:,} of {info.n_tokens:,} tokens"
    contexts = f"{feature.n_contexts_active:,} of {info.n_contexts:,} contexts"
    over = f"over {feature.n_active:,} active tokens"
    numbers = (
        ("density", feature.density, n_tokens),
        ("active tokens", feature.n_active, n_tokens),
        ("contexts", feature.n_contexts_active, contexts),
        ("max", feature.max_activation, over),
        ("mean", feature.mean_activation, over),
        ("std", feature.std_activation, over),
        ("min", feature.min_activation, f"smallest non-zero value, {over}"),
        ("skewness", feature.skewness, over),
        ("kurtosis", feature.kurtosis, f"{over}; 3 for a normal distribution"),
        ("decoder norm", feature.decoder_norm, "Euclidean length of the direction"),
        ("logit std", feature.logit_std, "over the vocabulary"),
        ("logit kurtosis", feature.logit_kurtosis, "over the vocabulary; 3 for a normal"),
    )
    return stats((name, short(value), f"{exact(value)} · {tip}") for name, value, tip in numbers)


def _moment(text: str) -> str:
    """A time in UTC as 2 November 2026, 16:05; as it is where it is no time."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def provenance(info: DictionaryInfo, path: str | None = None) -> str:
    """Where the numbers come from; `path` is where the dictionary stands, if that may be told."""
    facts = {
        "model": info.model_name,
        "hook point": info.hook_name,
        "writes to": info.hook_name_out if info.is_transcoder else None,
        "family": info.family,
        "step": info.step,
        "model step": info.model_step,
        "corpus": info.corpus_name,
        "contexts": f"{info.n_contexts:,} of at most {info.context_length} tokens",
        "tokens counted": f"{info.n_tokens:,}",
        "left out": left_out(info),
        "seed": info.seed,
        "precision": _precision(info),
        "run": info.run_id,
        "built": _moment(info.built_at),
        "commit": info.git_commit,
        "path of the dictionary": path,
    }
    told = [(name, str(fact), str(fact)) for name, fact in facts.items() if fact is not None]
    digests = [
        (f"digest of {name}", f"{digest[:_DIGITS]}…", f"sha256 {digest}")
        for name, digest in info.digests.items()
    ]
    versions = [(name, version, version) for name, version in info.versions.items()]
    return stats([*told, *digests, *versions], is_wide=True)


def left_out(info: DictionaryInfo) -> str:
    """Which tokens no number counts; the store says so with these words behind."""
    return info.token_mask.removesuffix(" left out")


def _precision(info: DictionaryInfo) -> str:
    """Of model and encoding, and what it did to the activations of the first block."""
    change = info.dtype_change
    if change is None:
        return info.dtype
    return (
        f"{info.dtype}: activations change by {change['mean_relative_change']:.2%} on average, "
        f"{change['n_lost']:,} of {change['n']:,} are lost and {change['n_gained']:,} gained"
    )


def recomputed(found: Recomputed, info: DictionaryInfo) -> str:
    """What running a stored context again showed."""
    if found.feature is None:
        return note(f"'{info.dictionary_id}' holds no example of this context.", "plain")
    verdict = (
        "as stored"
        if not found.n_beyond
        else f"{found.n_beyond:,} differ by more than their step: the store is not what runs here"
    )
    facts = [
        (f"Recomputed: {verdict}", "Each activation may differ by its own step, and by rounding"),
        (f"largest difference {short(found.largest)}", exact(found.largest)),
        (
            f"storing in 8 bits allows {short(found.step)} there",
            f"1/254 of the largest activation of feature {found.feature} on the context",
        ),
        (
            f"{found.n_values:,} activations of {found.n_features:,} features",
            "Every position of every feature with an example of this context",
        ),
    ]
    kind = "fb-checked" if not found.n_beyond else "fb-note fb-error"
    return f'<div class="{kind}" role="status">{line(facts)}</div>'


def place_words(place: ListPlace) -> str:
    """Where a feature stands in its list."""
    if place.place is None:
        return f"not in the list of {place.n_kept:,}"
    return f"{place.place + 1:,} of {place.n_kept:,}"


def order_words(column: str, descending: bool) -> str:
    """How a list is sorted."""
    if column == "random":
        return "in random order"
    return f"sorted by {COLUMN_WORDS[column]}, {'highest' if descending else 'lowest'} first"
