import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from app.live import texts
from app.live.texts import MAX_TEXTS, URL_CHARACTERS, TextMemory, well_formed


def test_a_text_comes_back_by_its_key() -> None:
    memory = TextMemory()
    keys = {text: memory.key(text) for text in ("", "a\0b", "é ↵\r\n", "x" * 100_000)}
    assert {text: memory.text(key) for text, key in keys.items()} == {text: text for text in keys}
    assert len(set(keys.values())) == len(keys)
    assert all(re.fullmatch("[A-Za-z0-9_-]{12}", key) for key in keys.values())


def test_a_key_is_the_same_in_a_process_and_another_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = TextMemory().key("text")
    assert TextMemory().key("text") == key
    monkeypatch.setattr(texts, "_SECRET", b"of another process")
    assert TextMemory().key("text") != key


@pytest.mark.parametrize("key", ["", "x", "x" * 12, "é", "\ud800", "a" * 10_000])
def test_an_unknown_key_has_no_text(key: str) -> None:
    memory = TextMemory()
    memory.key("text")
    assert memory.text(key) is None


def test_the_text_used_longest_ago_is_forgotten_first() -> None:
    memory = TextMemory()
    keys = [memory.key(str(i)) for i in range(MAX_TEXTS)]
    assert memory.text(keys[0]) == "0"
    assert memory.key("1") == keys[1]
    memory.key("one more")
    assert [memory.text(key) for key in keys[:4]] == ["0", "1", None, "3"]
    assert memory.text(keys[-1]) == str(MAX_TEXTS - 1)


def test_memory_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAX_REMEMBERED_BYTES", 10)
    memory = TextMemory()
    first, second = memory.key("éé"), memory.key("123456")
    assert (memory.text(first), memory.text(second)) == ("éé", "123456")
    third = memory.key("é")
    assert (memory.text(first), memory.text(second), memory.text(third)) == (None, "123456", "é")
    assert memory.text(memory.key("12345678901")) is None
    assert memory.text(memory.key("1234567890")) == "1234567890"


def test_a_url_holds_so_many_characters_after_encoding() -> None:
    in_url = TextMemory.in_url
    assert in_url("x" * URL_CHARACTERS) and not in_url("x" * (URL_CHARACTERS + 1))
    assert in_url(" " * (URL_CHARACTERS // 3)) and not in_url(" " * (URL_CHARACTERS // 3 + 1))
    assert in_url("\ud800" * (URL_CHARACTERS // 9)) and not in_url("\ud800" * URL_CHARACTERS)
    assert in_url("") and not in_url("é" * URL_CHARACTERS)


def test_a_lone_surrogate_is_replaced() -> None:
    assert well_formed("a\ud800b\udfff😀\ufeff") == "a\ufffdb\ufffd😀\ufeff"
    quote(well_formed("".join(map(chr, range(0xD700, 0xE100)))))  # raises if one is left
    memory = TextMemory()
    assert memory.text(memory.key("a\udc80" * 1000)) == "a\ufffd" * 1000


def test_threads_may_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAX_TEXTS", 5)
    memory = TextMemory()

    def use(i: int) -> bool:
        text = str(i % 11) * 100
        return memory.text(memory.key(text)) in (text, None)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(2000)))
    assert sum(memory.text(memory.key(text)) == text for text in ("a", "b", "c", "d", "e")) == 5
