from featurestore.demo import texts


def modules(names: set[str]) -> set[str]:
    return {name.partition("/")[2] for name in names}


def test_a_held_out_module_is_held_out_with_its_docstrings() -> None:
    training = {document.name for document in texts.training_documents()}
    held_out = {document.name for document in texts.held_out_documents()}
    assert training and held_out
    assert not modules(training) & modules(held_out)
    assert 0.05 < len(held_out) / len(training | held_out) < 0.2


def test_all_three_kinds_of_text_are_there_and_none_is_empty() -> None:
    documents = texts.training_documents()
    assert {document.name.partition("/")[0] for document in documents} == {
        "source",
        "docstrings",
        "topic",
    }
    assert all(document.text.strip() for document in documents)
    assert not any("/test/" in document.name for document in documents)


def test_docstrings_of_a_module_stand_in_its_order_without_indentation() -> None:
    method = '    def f(self):\n        """Three."""\n'
    source = '"""One."""\n\nclass A:\n    """Two\n    lines."""\n\n' + method
    assert texts._docstrings(source) == "One.\n\nTwo\nlines.\n\nThree."
