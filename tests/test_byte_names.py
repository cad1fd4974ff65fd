import pytest

from featurestore.byte_names import as_bytes, as_text, joined, pieces, text_bytes


@pytest.mark.parametrize(
    ("token", "parts", "data"),
    [
        ("a", [("a", "")], b"a"),
        ("", [("", "")], b""),
        ("ö", [("ö", "")], b"\xc3\xb6"),
        ("<0xC3>", [("<0xC3>", "C3")], b"\xc3"),
        (" <0xE6><0xBC>", [(" ", ""), ("<0xE6>", "E6"), ("<0xBC>", "BC")], b" \xe6\xbc"),
        ("<0x7F>", [("<", ""), ("0x7F>", "")], b"<0x7F>"),  # text by itself, so never named
        ("<0xc3>", [("<", ""), ("0xc3>", "")], b"<0xc3>"),
        ("a<b<0xC3", [("a", ""), ("<", ""), ("b", ""), ("<", ""), ("0xC3", "")], b"a<b<0xC3"),
        ("\ud800", [("\ud800", "")], b"\xed\xa0\x80"),
    ],
)
def test_a_token_is_text_and_bytes(token: str, parts: list[tuple[str, str]], data: bytes) -> None:
    assert pieces(token) == parts
    assert as_bytes(token) == data


def test_every_byte_has_a_name_or_is_text_and_both_are_read_back() -> None:
    for number in range(256):
        data = bytes([number])
        assert as_text(data) == (chr(number) if number < 128 else f"<0x{number:02X}>")
        assert as_bytes(as_text(data)) == data


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["B", "<0xC3>", "<0xA4>", "cker"], "Bäcker"),
        ([" <0xE6><0xBC>", "<0xA2>字"], " 漢字"),
        (["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"], "😀"),
        (["<0xA4>", "cker", " <0xC3>"], "<0xA4>cker <0xC3>"),
        (["<0xC3>", "<0xC3>", "<0xB6>"], "<0xC3>ö"),
        (["<0xC3>", "x", "<0xB6>"], "<0xC3>x<0xB6>"),
        (["Ã", "<0xB6>"], "Ã<0xB6>"),  # a whole letter takes no byte more
        (["<", "0x", "C3", ">", "<", "0xB6>"], "<0xC3><0xB6>"),  # a text about names, not bytes
        ([], ""),
    ],
)
def test_cut_letters_are_whole_in_the_text(tokens: list[str], text: str) -> None:
    assert joined(tokens) == text


def test_nothing_in_a_text_is_a_name() -> None:
    assert text_bytes("ä<0xC3>\ud800") == b"\xc3\xa4<0xC3>\xed\xa0\x80"
