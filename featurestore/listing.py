"""The list of features that a query keeps in one open file, and why each is in it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Protocol, get_args

from featurestore import feature_list
from featurestore.annotations.records import NO_VERDICT, Verdict
from featurestore.dictionary_file import DictionaryFile
from featurestore.errors import StoreError
from featurestore.feature_list import TEXTS_AT_MOST, list_sql
from featurestore.records import CONTEXT_PLACES, FeatureQuery, Found, TextPlace
from featurestore.text_search import TextSearch

_TOKENS_AT_MOST = 2
"""Tokens that are told of a feature, as reasons to be in the list."""

_LENS = """
    select feature, token_id, logit as value from promoted_tokens
    where is_promoted = ? and token_id in (select unnest(?::integer[]))
        and feature in (select unnest(?::integer[]))
    order by feature, rank
"""
_TEXTS = """
    select context, text, document from contexts where context in (select unnest(?::integer[]))
"""


class Remarks(Protocol):
    """What people and programs said of features, by the digest of a dictionary's content."""

    def verdicts(self, digest: str) -> dict[int, str]:
        """Features that have a verdict, with it."""
        ...

    def texts(
        self, digest: str, place: Literal["annotations", "explanations"]
    ) -> list[tuple[int, str, str]]:
        """(feature, part, text) of all annotations or explanations; part is a FoundPlace."""
        ...


class Listing:
    """One query, put to one file: what it stands for is looked up once, for all statements."""

    def __init__(self, file: DictionaryFile, query: FeatureQuery, remarks: Remarks | None) -> None:
        """Translate the query.

        Raises:
            StoreError: it asks for something that is not there, or has a bad pattern.
        """
        self._file, self._query, self._remarks = file, query, remarks
        self.tokens = file.matching_tokens(query.token) if query.token else {}
        self._search = TextSearch(file, query.text, query.is_regex) if query.text else None
        self._said: dict[int, list[tuple[str, str]]] = {}
        pattern, among, without = None, [], []
        if query.verdicts:
            self._filter_by_verdict(among, without)
        if query.within not in get_args(TextPlace):
            known = ", ".join(get_args(TextPlace))
            raise StoreError(f"No text search in '{query.within}'. Known: {known}.")
        if self._search and not self._search.is_possible:
            among.append([])
        elif self._search and query.within in CONTEXT_PLACES:
            self._search.try_on_contexts()
            pattern = self._search.pattern
        elif self._search:
            self._said = self._matching_remarks(self._search)
            among.append(sorted(self._said))
        self._sql = list_sql(query, list(self.tokens), pattern, among, without)
        self._has_contexts = pattern is not None

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Ask one of the statements of `feature_list`."""
        asked = self._search or self._file
        return asked.rows(self._sql.fill(statement), *self._sql.parameters, *parameters)

    def count(self) -> int:
        """Number of features that it holds."""
        return self.rows(feature_list.COUNT)[0]["n_kept"]

    def silent(self) -> tuple[int, int] | None:
        """Of different tokens drawn where features are silent: those in matching contexts, all."""
        if not self._search or not self._has_contexts:
            return None
        of_contexts = self._sql.parameters[:2]
        (row,) = self._search.rows(self._sql.fill(feature_list.SILENT), *of_contexts)
        return row["n_matching"], row["n"]

    def found(self, page: list[dict[str, Any]]) -> dict[int, tuple[Found, ...]]:
        """Why the rows of a page are in the list: tokens, then texts."""
        found = _first_of_each(self._found_tokens(page), _TOKENS_AT_MOST)
        for feature, reason in self._found_texts(page):
            found[feature].append(reason)
        return {feature: tuple(reasons) for feature, reasons in found.items()}

    def _filter_by_verdict(self, among: list[list[int]], without: list[list[int]]) -> None:
        chosen = self._query.verdicts
        if unknown := chosen - {*Verdict, NO_VERDICT}:
            known = ", ".join((*Verdict, NO_VERDICT))
            raise StoreError(f"No verdict '{min(unknown)}'. Known: {known}.")
        verdicts = self._remembered("by verdict").verdicts(self._file.info.content)
        if NO_VERDICT in chosen:
            without.append(
                self._known(f for f, verdict in verdicts.items() if verdict not in chosen)
            )
        else:
            among.append(self._known(f for f, verdict in verdicts.items() if verdict in chosen))

    def _matching_remarks(self, search: TextSearch) -> dict[int, list[tuple[str, str]]]:
        """Features with a text that matches, with the parts and texts."""
        place = self._query.within
        texts = self._remembered(f"by {place}").texts(self._file.info.content, place)
        matching = defaultdict(list)
        for number in search.matching([text for _, _, text in texts]):
            feature, part, text = texts[number]
            if 0 <= feature < self._file.info.n_features:
                matching[feature].append((part, text))
        return dict(matching)

    def _remembered(self, how: str) -> Remarks:
        if self._remarks is None:
            raise StoreError(
                f"Features cannot be filtered {how}: this store was opened without annotations. "
                "Open it with them: Store(folder, remarks)."
            )
        return self._remarks

    def _known(self, features: Iterable[int]) -> list[int]:
        return sorted(f for f in features if 0 <= f < self._file.info.n_features)

    def _found_tokens(self, page: list[dict[str, Any]]) -> Iterator[tuple[int, Found]]:
        role = self._query.role
        if self.tokens and role == "peaks on":
            for row in page:
                for token, count in zip(row["peak_tokens"], row["peak_counts"], strict=True):
                    if text := self.tokens.get(token):
                        yield row["feature"], Found(role, "", text, "", count)
        elif self.tokens:
            features = [row["feature"] for row in page]
            for row in self._file.rows(_LENS, role == "promotes", list(self.tokens), features):
                text = self.tokens[row["token_id"]]
                yield row["feature"], Found(role, "", text, "", row["value"])

    def _found_texts(self, page: list[dict[str, Any]]) -> Iterator[tuple[int, Found]]:
        if not self._search or not page:
            return
        if self._has_contexts:
            sources = self._matching_contexts(page)
        else:
            sources = [
                (row["feature"], part, None, text)
                for row in page
                for part, text in self._said[row["feature"]][:TEXTS_AT_MOST]
            ]
        snippets = self._search.snippets([text for *_, text in sources])
        for (feature, place, context, _), snippet in zip(sources, snippets, strict=True):
            yield feature, Found(place, *snippet, context=context)

    def _matching_contexts(self, page: list[dict[str, Any]]) -> list[tuple[int, str, int, str]]:
        found = [(row["feature"], context) for row in page for context in row["contexts"]]
        rows = self._file.rows(_TEXTS, sorted({context for _, context in found}))
        is_name = self._query.within == "documents"
        place, column = ("document", "document") if is_name else ("context", "text")
        texts = {row["context"]: row[column] for row in rows}
        return [(feature, place, context, texts[context]) for feature, context in found]


def _first_of_each(
    reasons: Iterable[tuple[int, Found]], most: int
) -> defaultdict[int, list[Found]]:
    """The first few reasons of every feature."""
    first = defaultdict(list)
    for feature, reason in reasons:
        if len(first[feature]) < most:
            first[feature].append(reason)
    return first
