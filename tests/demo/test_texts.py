import pytest

from featurestore.corpus import Document
from featurestore.demo import texts


@pytest.fixture(scope="module")
def training() -> list[Document]:
    return texts.training_documents()


def modules(names: set[str]) -> set[str]:
    return {name.partition("/")[2] for name in names}


def test_a_held_out_module_is_held_out_with_its_docstrings(training: list[Document]) -> None:
    trained_on = {document.name for document in training}
    held_out = {document.name for document in texts.held_out_documents()}
    assert trained_on and held_out
    assert not modules(trained_on) & modules(held_out)
    assert 0.05 < len(held_out) / len(trained_on | held_out) < 0.2


def test_all_three_kinds_of_text_are_there_and_none_is_empty(training: list[Document]) -> None:
    assert {document.name.partition("/")[0] for document in training} == {
        "source",
        "docstrings",
        "topic",
    }
    assert all(document.text.strip() for document in training)
    assert not any("/test/" in document.name for document in training)


def test_docstrings_of_a_module_stand_in_its_order_without_indentation() -> None:
    method = '    def f(self):\n        """Three."""\n'
    source = '"""One."""\n\nclass A:\n    """Two\n    lines."""\n\n' + method
    assert texts._docstrings(source) == "One.\n\nTwo\nlines.\n\nThree."
