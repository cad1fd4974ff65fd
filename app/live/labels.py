"""What people and programs say of the features on a text."""

from collections import defaultdict
from collections.abc import Iterable

from app import panels, session
from app.exports import label_cells
from app.live.ranking import Contrasted, Ranked
from app.live.rows import Labels
from featurestore.errors import AnnotationsError
from featurestore.records import DictionaryInfo


def labels(infos: Iterable[DictionaryInfo], shown: Iterable[Ranked | Contrasted]) -> Labels:
    """Of some features.

    Raises:
        AnnotationsError: they cannot be read now.
    """
    opened, asked = session.annotations(), defaultdict(list)
    for one in shown:
        asked[one.dictionary_id].append(one.feature)
    found = {}
    for info in infos:
        numbers = asked[info.dictionary_id]
        if not numbers or not info.content:
            continue
        said = opened.log.current(info.content, numbers)
        explained = opened.explanations.of(info.content, numbers)
        for number in said.keys() | explained.keys():
            content = said[number].content if number in said else None
            cells = label_cells(content, explained.get(number, ()))
            if any(cells):
                found[info.dictionary_id, number] = cells
    return found


def of_rows(infos: Iterable[DictionaryInfo], shown: Iterable[Ranked | Contrasted]) -> Labels:
    """The same for the rows of a page, which needs none of them: it says why there are none."""
    try:
        return labels(infos, shown)
    except AnnotationsError as error:
        panels.note(str(error), "error")
        return {}
