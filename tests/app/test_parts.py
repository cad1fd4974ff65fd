from pathlib import Path

from app import parts


def test_what_makes_elements_comes_before_the_parts(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"// {name}: ä\n", encoding="utf-8")
    script = parts.script(tmp_path / "one", tmp_path / "two")
    places = [script.index(part) for part in ("function make(", "// one: ä", "// two: ä")]
    assert places == sorted(places)
