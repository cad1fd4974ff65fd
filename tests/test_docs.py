"""The documents name what there is: recipe keys, tables, commands."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from featurestore import config
from featurestore.__main__ import _parser

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


SECTIONS = {
    "[model]": config.ModelConfig,
    "[[dictionaries]]": config.DictionaryConfig,
    "[corpus]": config.CorpusConfig,
    "[passes]": config.PassesConfig,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_recipe_key_is_documented_with_its_default(heading: str) -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    section = text.split(f"### `{heading}`")[1].split("###")[0]
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, flags=re.MULTILINE))
    known = {
        item.name: "required" if item.default is MISSING else str(item.default).lower()
        for item in fields(SECTIONS[heading])
    }
    assert {name: default.strip('"') for name, default in shown.items()} == known


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (commands,) = [a for a in _parser()._actions if hasattr(a, "choices") and a.choices]
    for command in commands.choices:
        assert f"python -m featurestore {command}" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def test_the_tree_in_the_readme_names_every_module() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in ("app", "pages", "featurestore"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "__init__.py":
                assert path.name in text, path
