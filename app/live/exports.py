"""What Live shows as CSV files. Pure."""

from collections.abc import Iterable, Sequence

from app.exports import LABEL_COLUMNS
from app.live.ranking import Contrasted, Ranked, Side
from app.live.rows import Labels
from featurestore.live.records import Intervention, Substitution, TextActivations
from featurestore.spreadsheet import as_json, table_csv

_FEATURE = ("dictionary_id", "feature", "density", "stored_max")


def ranked_csv(rows: Iterable[Ranked], tokens: Sequence[str], labels: Labels) -> bytes:
    """Features of a text, one per line; activations as JSON: position, token, value."""
    columns = (*_FEATURE, "max", "sum", "n", "share")
    lines = (
        [*(getattr(row, column) for column in columns), _places(row, tokens), *_said(row, labels)]
        for row in rows
    )
    header = [*columns, "activations", *LABEL_COLUMNS]
    return table_csv(header, lines, names=("dictionary_id",))


def contrasted_csv(
    rows: Iterable[Contrasted], first: Sequence[str], second: Sequence[str], labels: Labels
) -> bytes:
    """Features of two texts, one per line; activations as JSON: position, token, value."""
    sides = ("max", "mean", "n", "n_tokens")
    header = [*_FEATURE, "max_difference", "mean_difference"]
    header += [f"{side}_{text}" for text in "ab" for side in (*sides, "activations")]
    header += LABEL_COLUMNS
    lines = (
        [
            *(getattr(row, column) for column in _FEATURE),
            row.first.max - row.second.max,
            row.first.mean - row.second.mean,
            *(getattr(row.first, name) for name in sides),
            _places(row.first, first),
            *(getattr(row.second, name) for name in sides),
            _places(row.second, second),
            *_said(row, labels),
        ]
        for row in rows
    )
    return table_csv(header, lines, names=("dictionary_id",))


def layers_csv(activations: Iterable[TextActivations], tokens: Sequence[str]) -> bytes:
    """Active features of each dictionary at each token, one of each per line."""
    lines = (
        [found.dictionary_id, pos, token, int(found.n_active[pos])]
        for found in activations
        for pos, token in enumerate(tokens)
    )
    return table_csv(["dictionary_id", "pos", "token", "n_active"], lines, names=("dictionary_id",))


def losses_csv(substitutions: Iterable[Substitution], tokens: Sequence[str]) -> bytes:
    """What each dictionary loses at each token, one of each per line; KL in nats."""
    header = ["dictionary_id", "pos", "token", "n_active", "error", "kl"]
    header += ["control_kl_mean", "n_draws", "seed"]
    lines = (
        [
            *(one.dictionary_id, pos, token, int(one.n_active[pos])),
            *(float(one.error[pos]), float(one.kl[pos]), float(one.control_kl[:, pos].mean())),
            *(len(one.control_kl), one.seed),
        ]
        for one in substitutions
        for pos, token in enumerate(tokens)
    )
    return table_csv(header, lines, names=("dictionary_id",))


def next_tokens_csv(found: Intervention) -> bytes:
    """Probabilities of the next token before and after an intervention."""
    lines = ([one.token, one.before, one.after] for one in found.next_tokens)
    return table_csv(["token", "before", "after"], lines)


def _said(row: Ranked | Contrasted, labels: Labels) -> tuple[str, str, str]:
    return labels.get((row.dictionary_id, row.feature), ("", "", ""))


def _places(active: Ranked | Side, tokens: Sequence[str]) -> str:
    pairs = zip(active.pos, active.values, strict=True)
    return as_json([[pos, tokens[pos], value] for pos, value in pairs])
