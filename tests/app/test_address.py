"""The address, run without a browser."""

import pytest
from streamlit.testing.v1 import AppTest

from app import address


def page() -> None:
    import streamlit as st

    from app import address

    address.remember("Browse", tuple)
    st.text(address.given().get("feature", "none"))
    st.button("next", key="next", on_click=address.show, args=({"feature": "2"},))
    st.button("fold", key="fold", on_click=address.keep)


def test_a_click_that_leads_nowhere_comes_with_an_address_of_before_and_undoes_nothing() -> None:
    test = AppTest.from_function(page)
    test.query_params["feature"] = "1"
    test.run()
    test.button(key="next").click().run()
    test.query_params = {"feature": "1"}  # as the browser still has it
    test.button(key="fold").click().run()
    assert (test.text[0].value, test.query_params["feature"]) == ("2", "2")
    test.button(key="fold").click().run()
    assert test.text[0].value == "2"
    test.query_params = {"feature": "1"}  # Back: without a click
    test.run()
    assert test.text[0].value == "1"


IDS = ("attn", "mlp", "resid")


class Visit:
    """A session that goes from page to page, by links and by the menu."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.query = QueryParams()
        state: dict = {}
        monkeypatch.setattr(address.st, "session_state", state)
        monkeypatch.setattr(address.st, "query_params", self.query)

    def link(self, page: str, **params: str) -> None:
        self.query.from_dict(params)
        address.remember(page, lambda: IDS)

    def menu(self, page: str) -> dict[str, str]:
        """What the page shows."""
        self.link(page)
        return address.given()


class QueryParams(dict):
    def from_dict(self, params: dict[str, str]) -> None:
        self.clear()
        self.update(params)

    def to_dict(self) -> dict[str, str]:
        return dict(self)


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    return Visit(monkeypatch)


def test_the_first_page_begins_with_the_first_dictionary(visit: Visit) -> None:
    assert visit.menu("Map") == {"dictionary": "attn"}
    assert visit.menu("Live") == {"dictionaries": "attn"}


def test_a_page_goes_on_with_what_it_was_left_with(visit: Visit) -> None:
    visit.link("Browse", dictionary="mlp", token="the")
    visit.link("Feature", dictionary="mlp", token="the", feature="3")
    assert visit.menu("Search") == {"find": "", "dictionary": "mlp"}
    assert visit.menu("Browse") == {"dictionary": "mlp", "token": "the"}
    assert visit.menu("Feature")["feature"] == "3"
    assert visit.menu("Annotations") == {"dictionary": "mlp", "token": "the"}


def test_the_menu_stays_with_the_dictionary_that_is_looked_at(visit: Visit) -> None:
    visit.link("Browse", dictionary="mlp", token="the")
    visit.link("Annotations", dictionary="mlp")
    visit.menu("Map")
    visit.link("Map", dictionary="resid")  # chosen there
    for page in ("Browse", "Annotations", "Feature"):
        assert visit.menu(page) == {"dictionary": "resid"}
    visit.link("Feature", dictionary="mlp", feature="5")  # a neighbour in another
    assert visit.menu("Annotations") == {"dictionary": "mlp"}
    assert visit.menu("Browse") == {"dictionary": "mlp", "token": "the"}


def test_of_two_that_are_looked_at_the_one_of_before_stays(visit: Visit) -> None:
    visit.link("Browse", dictionary="resid")
    visit.link("Pair", other="resid", dictionary="mlp")
    assert visit.menu("Browse") == {"dictionary": "resid"}
    visit.link("Live", dictionaries="attn,mlp", text="a text")
    assert visit.menu("Browse") == {"dictionary": "attn"}
    visit.link("Map", dictionary="mlp")
    assert visit.menu("Live") == {"dictionaries": "attn,mlp", "text": "a text"}
    assert visit.menu("Browse") == {"dictionary": "mlp"}


def test_a_page_of_many_dictionaries_leads_back_to_none_of_before(visit: Visit) -> None:
    visit.link("Browse", dictionary="mlp")
    assert visit.menu("Compare") == {"by": "", "dictionary": "mlp"}
    visit.link("Map", dictionary="resid")
    assert visit.menu("Compare") == {"by": "", "dictionary": "resid"}
    assert visit.menu("Browse") == {"dictionary": "resid"}


def test_a_dictionary_that_there_is_not_leads_to_the_first(visit: Visit) -> None:
    visit.link("Browse", dictionary="gone")
    assert visit.menu("Feature") == {"dictionary": "attn"}
