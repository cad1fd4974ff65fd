"""What the map's page says of a search that was made elsewhere."""

from app.map.words import besides
from featurestore.records import FeatureQuery, Flag


def test_what_no_box_of_the_map_shows_is_said() -> None:
    query = FeatureQuery(
        "any",
        ranges=(
            ("density", 0.01, None),
            ("max_activation", 1.0, 2.5),
            ("n_active", None, 0.0),
            ("cluster", 3.0, 3.0),
        ),
        flags=frozenset({Flag.DENSE}),
        include_dead=True,
        text="de-",
        within="documents",
        is_regex=True,
        at_least=18,
        verdicts=frozenset({"junk", "none"}),
    )
    assert besides(query) == [
        "in at least 18",
        "as a regular expression",
        "junk or no verdict",
        "density ≥ 0.0100",
        "max activation ≥ 1.00 and ≤ 2.50",
        "active tokens ≤ 0",
        "dense",
        "with dead",
    ]


def test_a_search_that_the_boxes_show_is_not_said_again() -> None:
    assert besides(FeatureQuery("any", token="the")) == []
    # A bound that is kept for the next text, where it counts for nothing.
    assert besides(FeatureQuery("any", text="a", within="annotations", at_least=18)) == []
    assert besides(FeatureQuery("any", token="the", is_regex=True, at_least=18)) == []


def test_a_text_beside_a_token_has_no_box() -> None:
    query = FeatureQuery("any", token="the", text="<b>", within="sampled")
    assert besides(query) == ['"<b>" in its sampled contexts']
