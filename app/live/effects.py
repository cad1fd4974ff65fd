"""The tab Intervene: which features are changed and how, and what comes of it."""

import streamlit as st

from app import links, markup, panels, session
from app.live import panels as live_panels
from app.live import rows
from app.live import session as live
from app.live.effects_markup import continuations, edit_words, next_tokens
from app.live.exports import next_tokens_csv
from app.live.selection import MAX_NEW_TOKENS, LiveSelection, with_edit
from app.live.strips import Column
from featurestore.errors import Busy, FeatureStoreError
from featurestore.live.records import Edit, Intervention, Tokens
from featurestore.records import DictionaryInfo

MODES = {"ablate": "switch off", "scale": "multiply by", "clamp": "set to"}
_EVERYWHERE = "everywhere"
_VALUE = 2.0
_PROBLEM = "why an edit was not added"
_CLICKS = "Click tokens to change features at these alone, and to read what follows the last one"
_COLUMNS = (
    Column("name", "", "text", "What is measured at each token"),
    Column("mean", "mean", "number", "Mean over the tokens of this text"),
)


def intervene(selection: LiveSelection, infos: tuple[DictionaryInfo, ...], tokens: Tokens) -> None:
    """Change features, and see what comes next before and after."""
    _new_edit(selection, infos, tokens)
    if _PROBLEM in st.session_state:
        panels.note(st.session_state.pop(_PROBLEM), "error")
    if not selection.edits:
        panels.note(
            "No feature is changed yet. Add one above, or open a feature of the text and switch it "
            "off. A change moves the model's own vector along the feature's direction and leaves "
            f"the rest of it as it is. {_CLICKS}."
        )
        live_panels.unsorted(selection, tokens, _COLUMNS, [], "strips effects")
        return
    _list_of_edits(selection, tokens)
    pos = selection.tokens[-1] if selection.tokens else len(tokens.ids) - 1
    pos = min(pos, len(tokens.ids) - 1)
    found = _effect(selection, infos, tokens, pos)
    if found is not None:
        _show(selection, infos, tokens, found)


def _new_edit(selection: LiveSelection, infos: tuple[DictionaryInfo, ...], tokens: Tokens) -> None:
    """Controls that make an edit; they are no part of the URL before it is made."""
    names = [info.dictionary_id for info in infos]
    limits = {info.dictionary_id: info.n_features for info in infos}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="filters"):
        opened = selection.feature or (names[0], 0)
        at = names.index(opened[0]) if opened[0] in names else 0
        name = st.selectbox("Dictionary", names, at, key=f"edit_dictionary {opened}", width=220)
        number = opened[1] if name == opened[0] and opened[1] < limits[name] else 0
        # Without bounds: the box would keep back what is beyond them, and an older number count.
        st.number_input("Feature", value=number, key=f"edit_feature {name} {opened}", width=100)
        mode = st.selectbox(
            "What to do", list(MODES), key="edit_mode", format_func=MODES.__getitem__, width=120
        )
        if mode != "ablate":
            st.number_input("Value", value=_VALUE, key=f"edit_{mode}", format="%g", width=90)
        if selection.tokens:
            n = len(selection.tokens)
            places = f"at the {n} chosen token{'' if n == 1 else 's'}"
            st.selectbox("Where", [places, _EVERYWHERE], key="edit_where", width=190)
        added = (selection, limits, opened)
        st.button("Add", type="primary", on_click=_add, args=added, key="add_edit")
        session.seed({"live_new": selection.n_new, "live_seed": selection.seed})
        st.number_input(
            "Continue by",
            *(0, MAX_NEW_TOKENS),
            key="live_new",
            on_change=live.on_value,
            args=("live_new", "n_new"),
            help="Tokens after the end of the text; 0 for none",
            width=100,
        )
        st.number_input(
            "Seed",
            *(0, 2**31 - 1),
            key="live_seed",
            on_change=live.on_value,
            args=("live_seed", "seed"),
            help="Of the sampled continuation",
            width=90,
        )


def _add(selection: LiveSelection, limits: dict[str, int], opened: tuple[str, int]) -> None:
    """Callback. What stands in the boxes now is what counts, not what stood there when drawn."""
    boxes = st.session_state
    name, mode = boxes[f"edit_dictionary {opened}"], boxes["edit_mode"]
    feature = boxes.get(f"edit_feature {name} {opened}", 0)
    if not 0 <= feature < limits[name]:
        boxes[_PROBLEM] = (
            f"No feature {feature:,} in '{name}': its features are 0 to {limits[name] - 1:,}."
        )
        return
    value = 0.0 if mode == "ablate" else boxes.get(f"edit_{mode}", _VALUE)
    is_everywhere = not selection.tokens or boxes["edit_where"] == _EVERYWHERE
    positions = () if is_everywhere else selection.tokens
    live.go(with_edit(selection, Edit(name, feature, mode, value, positions)))


def _list_of_edits(selection: LiveSelection, tokens: Tokens) -> None:
    for number, edit in enumerate(selection.edits):
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", key=f"edit {number}"
        ):
            st.html(edit_words(edit, tokens.texts), width="content")
            listed = live_panels.on_feature_page(selection, edit.dictionary_id)
            st.page_link(
                links.FEATURE, label="Its page", query_params=links.feature(listed, edit.feature)
            )
            st.button(
                "Remove",
                type="tertiary",
                key=f"remove {number}",
                on_click=live.without_edit,
                args=(selection, edit),
            )


def _effect(
    selection: LiveSelection, infos: tuple[DictionaryInfo, ...], tokens: Tokens, pos: int
) -> Intervention | None:
    runs = tuple(info.run_id for info in infos)
    edits, n_new, seed = selection.edits, selection.n_new, selection.seed
    try:
        with st.spinner("Running the model with and without"):
            return live.ask(
                ("intervene", runs, edits, tokens, pos, n_new, seed),
                lambda runner: runner.intervene(edits, tokens, pos, n_new, seed),
            )
    except Busy:
        raise  # the frame of the page offers to try again
    except FeatureStoreError as error:
        panels.note(str(error), "error")
        return None


def _show(
    selection: LiveSelection,
    infos: tuple[DictionaryInfo, ...],
    tokens: Tokens,
    found: Intervention,
) -> None:
    activations = live.activations(infos, tokens)
    shown = rows.effect_rows(found, selection.edits, activations)
    live_panels.unsorted(selection, tokens, _COLUMNS, shown, "strips effects")
    st.html(markup.line([_CLICKS]))
    if found.n_changed == 0:
        panels.note(
            "Nothing changes on this text: the features are silent where they are changed. "
            "They may be active in what is written on."
        )
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.html(next_tokens(found, tokens.texts[found.pos]))
        panels.export(
            "next-tokens.csv", lambda: next_tokens_csv(found), "These tokens and probabilities"
        )
    with right:
        if found.continuations:
            st.html(continuations(found.continuations, selection.seed))
