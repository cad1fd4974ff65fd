"""The address, run without a browser."""

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from app import address

    address.remember("Browse", str)
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
