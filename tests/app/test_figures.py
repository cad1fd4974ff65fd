from app.figures import RULE, axis, layout, legend


def test_more_is_added_and_what_is_said_counts() -> None:
    around = layout(100, (1, 2, 3, 4), hovermode="x", xaxis=axis("cosine", nticks=3))
    assert around["margin"] == {"l": 1, "r": 2, "t": 3, "b": 4}
    assert around["paper_bgcolor"] == around["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert around["xaxis"]["title"]["text"] == "cosine"
    assert (around["hovermode"], around["xaxis"]["nticks"]) == ("x", 3)
    assert axis(zeroline=True)["zeroline"] is True and axis()["gridcolor"] == RULE
    assert "title" not in axis()
    assert legend(itemwidth=30)["itemwidth"] == 30
