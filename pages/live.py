"""Live: which features are active on my own text, and what do they do there?"""

from app.live import effects, panels, views
from app.live import session as live
from app.session import catalogue

panels.end_if_off()
with live.turn():
    selection, chosen = panels.open_live()
    panels.text_boxes(selection)
ready = live.infos(catalogue(), panels.wait_for(chosen))
first = ready[0]

if selection.context is None:
    tokens = panels.read_text(first, selection.text, selection)
else:
    tokens = panels.stored_tokens(chosen[0], selection.context)
panels.options(selection, tokens)
if selection.context is not None:
    panels.recomputed(chosen[0], selection.context)
if tokens is not None:
    selection = panels.inside(selection, tokens)

with panels.open_tab(selection):
    if tokens is None:
        panels.nothing_yet(selection)
    elif selection.tab == "features":
        views.features(selection, ready, tokens)
    elif selection.tab == "layers":
        views.layers(selection, ready, tokens)
    elif selection.tab == "reconstruction":
        views.reconstruction(selection, ready, tokens)
    elif selection.tab == "intervene":
        effects.intervene(selection, ready, tokens)
    else:
        other = panels.read_text(first, selection.other, selection)
        if other is None:
            panels.nothing_yet(selection)
        else:
            views.two_texts(selection, ready, tokens, other)
