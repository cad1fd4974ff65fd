import pytest

from featurestore.annotations.drafts import cleaned
from featurestore.annotations.records import Content, Draft, Verdict
from featurestore.errors import AnnotationError
from tests.annotations.drafts import draft


def test_what_is_tidied() -> None:
    content = Content(
        "junk",  # as a form gives it
        " one\r\ntwo\nthree\u2028four ",
        " a\r\nb\rc\n",
        (" x ", "", "y\nz", "x", "X", " "),
    )
    tidy = cleaned(draft(author=" Ann\n", content=content))
    assert tidy.author == "Ann"
    assert tidy.content == Content(
        Verdict.JUNK, "one two three four", " a\nb\nc\n", ("x", "y z", "X")
    )
    assert isinstance(tidy.content.verdict, Verdict)
    assert cleaned(tidy) == tidy


@pytest.mark.parametrize(
    "fields",
    [
        {"label": "l" * 300},
        {"label": "\n" * 5 + "l" * 300 + " "},
        {"note": "n" * 10_000},
        {"note": "\r\n" * 10_000},
        {"tags": tuple(f"{i}{'t' * 58}" for i in range(10, 20)) + ("u",) * 40},
        {"author": "a" * 80},
    ],
)
def test_as_long_as_allowed(fields: dict) -> None:
    cleaned(draft(**fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": "l" * 301}, "The label has 301 characters, 1 too many: allowed are 300."),
        ({"note": "n" * 10_500}, "The note has 10,500 characters, 500 too many: allowed are 10,"),
        ({"tags": ("t" * 61,)}, "The tag has 61 characters, 1 too many: allowed are 60."),
        ({"tags": tuple(map(str, range(21)))}, "There are 21 tags: allowed are 20."),
        ({"author": "a" * 81}, "The author has 81 characters, 1 too many"),
        ({"author": " \n"}, "The author is empty: say who you are"),
        ({"uid": ""}, "The uid is empty"),
        ({"digest": ""}, "'sae' was built without a digest"),
        ({"verdict": "good"}, "The verdict is 'good': allowed are monosemantic, unsure, poly"),
        ({"label": "ab\0"}, r"The label holds U\+0000 at character 3, which cannot be kept"),
        ({"note": "\udcff"}, r"The note holds U\+DCFF at character 1"),
        ({"tags": ("a", "\ud83d")}, r"The tag holds U\+D83D at character 1"),
        ({"author": "\0"}, r"The author holds U\+0000"),
        ({"dictionary_id": "\0"}, r"The dictionary_id holds U\+0000"),
        ({"kind": "settle"}, "A draft of kind 'settle' is about None"),
        ({"kind": "edit", "about": 3}, "A draft of kind 'edit' is about 3"),
    ],
)
def test_what_is_refused(fields: dict, message: str) -> None:
    refused: Draft = draft(**fields)
    with pytest.raises(AnnotationError, match=message):
        cleaned(refused)
