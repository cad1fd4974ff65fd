"""Search: where does a token, a word or a piece of text come up, in all dictionaries?"""

from app import panels
from app.search.panels import every_hit, hits, nothing_found, open_search

selection, infos = open_search()
if not selection.find:
    panels.note(
        "Type a token, a word of a label, or a piece of a context. Every hit says why it is one; "
        "the numbers beside a dictionary's name open all of its hits in Browse."
    )
else:
    n_with_hits = 0
    for found in every_hit(selection, infos):
        hits(found)
        n_with_hits += 1
    if not n_with_hits:
        nothing_found(infos, selection)
