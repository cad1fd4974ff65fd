"""The documents name what there is, all of it, and nothing else; their commands and links work."""

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from app import exports, panels
from app.compare import panels as compare
from app.live import panels as live
from app.pair import panels as pair
from app.selection import RANGES
from app.tracks import panels as tracks
from featurestore import config, errors
from tests.reference import PAGES, REFERENCE, parameters, parser_of, subcommands, written

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

SECTIONS = {
    "`[model]`": config.ModelConfig,
    "`[[dictionaries]]`": config.DictionaryConfig,
    "`[corpus]`": config.CorpusConfig,
    "`[passes]`": config.PassesConfig,
    "Top level": config.Recipe,
}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def section(path: Path, heading: str) -> str:
    """What stands below a heading, up to the next of any kind."""
    found = re.split(rf"^#+ {re.escape(heading)}.*$", read(path), flags=re.MULTILINE)
    assert len(found) == 2, f"{path.name} has {len(found) - 1} headings '{heading}'"
    return re.split(r"^#", found[1], flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """The first cell of every row of a table."""
    return re.findall(r"^\| (.*?) \|", text, flags=re.MULTILINE)[1:]


def names(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


@each_document
def test_a_document_begins_with_what_it_answers(document: Path) -> None:
    title, about = read(document).split("\n\n")[:2]
    assert title.startswith("# ")
    if document.name not in ("README.md", "CHANGELOG.md"):
        assert "?" in about, about


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_recipe_key_is_documented_with_its_default(heading: str) -> None:
    text = section(ROOT / "docs" / "recipes.md", heading)
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, flags=re.MULTILINE))
    known = {
        item.name: "required" if item.default is MISSING else str(item.default).lower()
        for item in fields(SECTIONS[heading])
        if item.name not in ("model", "dictionaries", "corpus", "passes")
    }
    assert {name: default.strip('"') for name, default in shown.items()} == known


def test_the_reference_is_as_the_code_is() -> None:
    assert read(REFERENCE) == written(read(REFERENCE)), "run python -m tests.reference"


def test_every_page_has_its_address_in_the_reference() -> None:
    shown = re.findall(r"\| `(/?\w*)` \|$", section(REFERENCE, "Pages and their"), re.MULTILINE)
    pages = re.findall(r'url_path="(\w+)"(, default=True)?', read(ROOT / "app" / "main.py"))
    assert shown == ["/" if is_default else path for path, is_default in pages]


@pytest.mark.parametrize("heading", PAGES)
def test_every_parameter_of_a_page_is_in_the_reference(heading: str) -> None:
    cells = first_cells(section(REFERENCE, heading))
    shown = [name for cell in cells for name in names(cell)]
    if any("every range" in cell for cell in cells):
        shown += RANGES
    assert sorted(shown) == sorted(parameters(heading))


@pytest.mark.parametrize("page", [panels, compare, pair, tracks, live])
def test_every_key_that_does_something_is_told(page: object) -> None:
    listed = page.KEYS if hasattr(page, "KEYS") else page.words.KEYS
    listed += getattr(page, "FEATURE_KEYS", ())
    told = {part for key, _ in listed for part in key.split()}
    assert {{"ArrowLeft": "←", "ArrowRight": "→"}.get(key, key) for key in page._SELECTORS} <= told


def test_every_variable_is_in_the_reference() -> None:
    cells = first_cells(section(REFERENCE, "Environment"))
    shown = {name for cell in cells for name in names(cell)}
    modules = [path for part in ("app", "featurestore") for path in (ROOT / part).rglob("*.py")]
    lines = [line for path in modules for line in read(path).splitlines() if "environ" in line]
    used = {name for line in lines for name in re.findall(r'"([A-Z][A-Z_]+)"', line)}
    used |= set(re.findall(r"^URL_VARIABLE = \"(\w+)\"", _all(modules), re.MULTILINE))
    used |= set(re.findall(r"^export (\w+)", read(ROOT / "Makefile"), re.MULTILINE))
    of_the_machine = {"DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH"}
    assert used - of_the_machine <= shown
    assert {name for name in shown if name not in _all(modules)} <= set(
        re.findall(r"\w+", read(ROOT / "Makefile") + read(ROOT / "Dockerfile"))
    )


def _all(paths: list[Path]) -> str:
    return "\n".join(read(path) for path in paths)


def test_every_exit_code_is_in_the_reference() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.FeatureStoreError)}
    text = section(REFERENCE, "Commands").partition("Exit codes")[2]
    shown = {int(code) for cell in first_cells(text) for code in cell.split(", ")}
    assert shown == {0, 130, 143} | {code for code in codes if isinstance(code, int)}


def test_every_folder_of_a_store_is_in_the_reference() -> None:
    text = section(REFERENCE, "What is in a store")
    shown = set(re.findall(r"^(\w+)[/.]", text.split("```")[1], re.MULTILINE))
    code = _all(list((ROOT / "featurestore").rglob("*.py")))
    written_to = re.findall(r'store / "(\w+)"', code)
    written_to += re.findall(r'^    folder = "(\w+)"', code, re.MULTILINE)
    assert shown == {*written_to, "annotations"}


def test_the_columns_of_a_list_in_csv() -> None:
    cells = first_cells(section(ROOT / "docs" / "features.md", "The CSV file of a list"))
    assert [name for cell in cells for name in names(cell)] == [*exports.FEATURES_HEADER]


def test_the_numbers_of_a_feature_are_columns() -> None:
    known = set(re.findall(r"`(\w+)`", section(REFERENCE, "What is in a store")))
    known |= {item.name for item in fields(config.PassesConfig)} | set(exports.FEATURE_COLUMNS)
    text = read(ROOT / "docs" / "features.md")
    assert set(re.findall(r"`([a-z]\w*_\w+)`", text)) <= known


def test_every_module_has_its_place_in_the_layers() -> None:
    text = section(ROOT / "docs" / "architecture.md", "Layers")
    named = set(re.findall(r"[\w/]+", text))
    inside = {path.stem for path in (ROOT / "featurestore").glob("*.py")} - {"__init__"}
    assert {name for name in inside if not {name, f"featurestore/{name}"} & named} == set()
    folders = {path.parent.name for path in (ROOT / "featurestore").glob("*/__init__.py")}
    assert {name for name in folders if not {f"{name}/", f"featurestore/{name}/"} & named} == set()


def test_every_key_of_a_bundle() -> None:
    text = section(ROOT / "docs" / "explanations.md", "What an explainer needs")
    code = read(ROOT / "featurestore" / "explanations" / "bundle.py")
    made = set(re.findall(r'^ +"(\w+)": ', code, re.MULTILINE))
    shown = {name for cell in first_cells(text) for name in names(cell)}
    assert shown <= made
    assert made <= set(names(text))


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    """To a file that is there, and to a heading of it."""
    for target in re.findall(r"\]\(([^):]+)\)", read(document)):
        name, _, anchor = target.partition("#")
        found = document.parent / name if name else document
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", read(found), re.MULTILINE)
            assert anchor in [_anchor(heading) for heading in headings], target


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@each_document
def test_files_that_are_named_exist(document: Path) -> None:
    folders = "app|pages|featurestore|tests|benchmarks|recipes|docs"
    for name in re.findall(rf"`((?:{folders})/[\w./-]*)`", read(document)):
        if "NAME" not in name:  # which stands for what somebody adds
            assert any((ROOT / f"{name}{end}").exists() for end in ("", ".py")), name


def commands(document: Path) -> Iterator[str]:
    """Every command line of a document; what explains it stands behind two spaces or more."""
    text = read(document)
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            found = re.match(r"(?:\S+=\S+ |srun )*((?:python -m|make) .*)", line)
            if found:
                yield re.split(r"  +| > ", found[1])[0]
                also = re.search(r"  (python -m .*)", line)
                yield from [also[1]] if also else []
    yield from (name for name in names(text) if re.match(r"(python -m|make) ", name))


@pytest.mark.parametrize("document", sorted({*DOCUMENTS} - {REFERENCE}), ids=lambda path: path.name)
def test_every_command_is_one(document: Path) -> None:
    for line in commands(document):
        plain = line.replace("$SLURM_ARRAY_TASK_ID", "1").replace("cProfile -s cumulative -m ", "")
        given = shlex.split(plain)
        if given[0] == "make":
            targets = re.findall(r"^([a-z-]+):.*## ", read(ROOT / "Makefile"), re.MULTILINE)
            assert given[1] in targets, line
        elif given[2].startswith("tests."):
            assert (ROOT / f"{given[2].replace('.', '/')}.py").exists(), line
        else:
            _parse(parser_of(given[2]), given[3:], line)


def _parse(parser: argparse.ArgumentParser, given: list[str], line: str) -> None:
    if given and given != ["--help"]:
        try:
            parser.parse_args(given)
        except SystemExit:
            pytest.fail(f"not understood: {line}")


def test_every_option_that_is_named_is_one() -> None:
    programs = ["featurestore", "app", "featurestore.demo"]
    programs += [
        f"benchmarks.{name}" for name in "ablation live matching pages store sweep".split()
    ]
    known = {
        option
        for program in programs
        for command in subcommands(parser_of(program)).values()
        for action in command._actions
        for option in action.option_strings
    }
    of_others = {"--array", "--cpus-per-task", "--dependency", "--repo-type"}  # Slurm's, the hub's
    of_others |= {"--rm", "--tmpfs", "--cap-drop", "--security-opt", "--memory", "--pids-limit"}
    for document in DOCUMENTS:
        code = re.findall(
            r"^```\w*\n(.*?)^```|`([^`\n]+)`", read(document), re.MULTILINE | re.DOTALL
        )
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(map(" ".join, code))))
        assert named <= known | of_others, document.name


def test_every_command_is_in_the_readme() -> None:
    lines = [line.partition("python -m featurestore ")[2] for line in commands(README)]
    for command in subcommands(parser_of("featurestore")):
        assert any(line.startswith(command.split()[0]) for line in lines), command


def tree() -> dict[str, list[str]]:
    """Folders of the README's tree, with the files named below each."""
    found: dict[str, list[str]] = {}
    for line in section(README, "The tree").split("```")[1].splitlines():
        if folder := re.match(r"(\S+/)", line):
            found[folder[1]] = []
        elif name := re.match(r"  (\S+)  ", line):
            found[list(found)[-1]].append(name[1])
    return found


def test_the_tree_in_the_readme_names_every_module() -> None:
    shown = tree()
    for folder in ("app", "pages", "featurestore"):
        homes = {path.parent for path in (ROOT / folder).rglob("*.py")}
        for home in homes:
            inside = {path.name for path in home.glob("*.py")} - {"__init__.py"}
            listed = shown.get(f"{home.relative_to(ROOT)}/", [])
            assert len(set(listed)) == len(listed)
            assert {name for name in listed if name.endswith(".py")} == inside, home
            assert all((home / name).exists() for name in listed)
    assert all((ROOT / folder).is_dir() for folder in shown)


def test_the_purpose_of_a_file_is_short() -> None:
    for line in section(README, "The tree").split("```")[1].splitlines():
        if re.match(r"  \S+  ", line):
            assert len(line.split()) <= 9, line


def test_every_document_is_in_the_readme() -> None:
    linked = set(re.findall(r"\]\(docs/(\w+\.md)[#)]", read(README)))
    assert linked == {path.name for path in DOCUMENTS if path.parent.name == "docs"}


def test_every_picture_is_shown() -> None:
    shown = {name for path in DOCUMENTS for name in re.findall(r"images/(\w+\.png)", read(path))}
    assert shown == {path.name for path in (ROOT / "docs" / "images").glob("*.png")}
