import json
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.annotations.exchange import export_csv, export_jsonl
from featurestore.annotations.importing import ImportPlan, apply, read_import
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Draft, Event, Verdict
from featurestore.errors import AnnotationError, AnnotationsError, TableError
from featurestore.records import DictionaryInfo
from featurestore.store import Store
from tests.annotations.made_up import open_log, say
from tests.small_store import publish

HOSTILE = ("=1+1", "007", "'x", "-", "TRUE", "MARCH1", "1e5", "NA", "a,b;c", '"', "\u202eabc", "@x")


@pytest.fixture
def known(tmp_path: Path) -> tuple[DictionaryInfo, ...]:
    publish(tmp_path)
    publish(tmp_path, "two")
    return Store(tmp_path).catalogue().dictionaries


@pytest.fixture
def log(tmp_path: Path) -> AnnotationLog:
    return open_log(tmp_path)


def plan_of(text: str | bytes, log: AnnotationLog, known: Iterable[DictionaryInfo]) -> ImportPlan:
    data = text if isinstance(text, bytes) else text.encode()
    return read_import(data, "it.csv", log, known)


def outcomes(plan: ImportPlan) -> list[tuple[int, str]]:
    return [(int(row.place.removeprefix("row ")), row.outcome) for row in plan.rows]


def only(plan: ImportPlan) -> tuple[str, str]:
    (row,) = plan.rows
    return row.outcome, row.reason


def said(log: AnnotationLog) -> dict[tuple[str, int], Content]:
    return {(event.dictionary_id, event.feature): event.content for event in log.all_current()}


def fill(log: AnnotationLog) -> None:
    for feature in range(5):
        for dictionary, shift in (("one", 0), ("two", 5)):
            text = HOSTILE[feature + shift]
            verdict = [*Verdict, None][feature]
            tags = (text.strip(), "b; c")[: feature % 3]
            say(log, feature, dictionary, verdict=verdict, label=text, note=f"{text}\n", tags=tags)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_exported_comes_back_unchanged_here_and_whole_elsewhere(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...], tmp_path: Path, form: str
) -> None:
    fill(log)
    events = log.all_current()
    data = export_csv(events) if form == "csv" else export_jsonl(events, known)
    plan = plan_of(data, log, known)
    assert plan.counts() == {
        **dict.fromkeys(("bad", "unknown", "conflict", "change", "add", "rewritten"), 0),
        "unchanged": 10,
    }
    assert plan.ignored == () and plan.n_by_programs == 0
    assert apply(plan, log, "bob") == 0
    assert log.all_current() == events

    (tmp_path / "other").mkdir()
    other = open_log(tmp_path / "other")
    plan = plan_of(data, other, known)
    assert plan.counts()["add"] == 10
    assert said(other) == {}
    assert apply(plan, other, " bob ") == 10
    assert said(other) == said(log)
    assert {(e.author, e.kind, e.revision) for e in other.all_current()} == {("bob", "import", 1)}


def test_a_row_is_exactly_one_thing(log: AnnotationLog, known: tuple[DictionaryInfo, ...]) -> None:
    saved = [
        say(log, feature, label="old", verdict=Verdict.JUNK, tags=("t",)) for feature in range(3)
    ]
    say(log, 2, label="newer")
    by = [f"{event.revision},red,{event.author},{event.at}" for event in saved]
    plan = plan_of(
        "dictionary,feature,label,verdict,tags,revision,colour,author,at\n"
        f"one,0,old,JUNK,t,{by[0]}\n"
        f"one,1,new, Unsure ,t; u,{by[1]}\n"
        f"one,2,mine,,,{by[2]}\n"
        "one,3,first,,,,,,\n"
        "one,4,,,,,,,\n"
        "two,0,,,,7,,,\n"
        ",,,,,,,,\n"
        "three,0,x,,,,,,\n"
        "one,5,x,,,,,,\n"
        "one,12.0,x,,,,,,\n"
        'one,"1,234",x,,,,,,\n'
        "one,-1,x,,,,,,\n"
        "two,1,x,green,,,,,\n"
        "two,2,x,,,first,,,\n"
        f"two,3,{'x' * 301},,,,,,\n"
        "one,3,again,,,,,,\n",
        log,
        known,
    )
    assert outcomes(plan) == [
        (2, "unchanged"),
        (3, "change"),
        (4, "conflict"),
        (5, "add"),
        (6, "unchanged"),
        (7, "unchanged"),
        *[(line, "unknown") for line in (9, 10, 11, 12, 13)],
        *[(line, "bad") for line in (14, 15, 16, 17)],
    ]
    assert plan.ignored == ("colour",)
    change, conflict = plan.of("change", "conflict")
    assert change.before == Content(Verdict.JUNK, "old", tags=("t",))
    assert change.after == Content(Verdict.UNSURE, "new", tags=("t", "u"))
    assert (change.seen, conflict.seen) == (1, 2)
    by = r"saved by ada on [0-9-]{10} [0-9:]{5} UTC"
    said = rf"The file has revision 1, {by}; here is 2, {by}\."
    assert re.match(said, conflict.reason)
    reasons = " | ".join(row.reason for row in plan.of("unknown", "bad"))
    for part in (
        "No dictionary 'three' in this store. It has: one, two.",
        "'one' has no feature 5: they are 0 to 4.",
        "'12.0' is not the number of a feature: digits alone are",
        "'1,234' is not the number of a feature",
        "'-1' is not the number of a feature",
        "The verdict is 'green': allowed are monosemantic, unsure, polysemantic, junk, or nothing",
        "The revision is 'first': it is a whole number",
        "The label has 301 characters, 1 too many",
        "Row 5 is of this feature, too: keep one of the two.",
    ):
        assert part in reasons


def test_of_an_unknown_dictionary_the_nearest_are_named(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    (row,) = plan_of("dictionary,feature,label\noen,0,a\n", log, known).rows
    assert row.reason == "No dictionary 'oen' in this store. Did you mean one?"


def test_the_digest_decides_which_dictionary(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    plan = plan_of(
        "dictionary,feature,label,digest\n"
        "one,0,a,digest of two\n"
        "renamed,1,a,digest of two\n"
        "one,2,a,digest of three\n"
        "two,3,a,\n",
        log,
        known,
    )
    found = [(row.outcome, row.dictionary, row.digest) for row in plan.rows]
    two = ("add", "two", "digest of two")
    assert found == [two, two, ("unknown", "one", ""), two]
    assert "'digest of th…', which the file calls 'one'" in plan.rows[2].reason

    twin = replace(known[1], dictionary_id="twin")
    plan = plan_of("dictionary,feature,digest\ntwin,0,digest of two\n", log, (twin, *known))
    assert plan.rows[0].dictionary == "twin"  # of two with the same weights, the one that is named

    nameless = replace(known[0], digests={})
    plan = plan_of("dictionary,feature,label\none,0,x\n", log, [nameless])
    assert only(plan) == ("unknown", "'one' was built without a digest: build it again.")


def test_a_column_that_is_missing_leaves_its_part(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    say(log, 0, verdict=Verdict.JUNK, label="old", note="n\n", tags=("t",))
    apply(plan_of("feature,dictionary,label\n0,one,new\n", log, known), log, "bob")
    assert said(log) == {("one", 0): Content(Verdict.JUNK, "new", "n\n", ("t",))}
    plan = plan_of("feature,dictionary,verdict,label,note,tags\n0,one,,,,\n", log, known)
    assert only(plan) == ("change", "")  # emptying it is one, and listed
    apply(plan, log, "bob")
    assert said(log) == {}
    assert [e.kind for e in log.history("digest of one", 0)] == ["edit", "import", "import"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("number,dictionary", "the columns number, dictionary. It needs 'feature'"),
        ("feature,label", "and 'digest' or 'dictionary'"),
    ],
)
def test_a_table_of_something_else_is_refused(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...], header: str, message: str
) -> None:
    with pytest.raises(TableError, match=message):
        plan_of(f"{header}\n1,2\n", log, known)


def test_a_spreadsheet_that_wrote_cells_anew_changes_nothing(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    for feature, label in enumerate(("007", "1e5", "MARCH1", "true", "cat")):
        say(log, feature, label=label, note="two\nlines\n")
    before = said(log)
    text = (
        "\ufefffeature;dictionary;label;note\r\n"
        '0;one;7;"two\r\nlines"\r\n'
        "1;one;1,00E+05;two lines\r\n"
        '2;one;01. Mar;"two\nlines\n"\r\n'
        '3;one;TRUE;"two\nlines\n"\r\n'
        '4;one;cat;"two\nlines\n"\r\n'
    )
    plan = plan_of(text, log, known)
    assert [row.outcome for row in plan.rows] == [
        *("rewritten", "change", "rewritten", "rewritten", "unchanged"),
    ]
    assert plan.rows[0].reason == "Only written otherwise, so not taken: label, note."
    assert plan.rows[1].reason == "Only written otherwise, so not taken: label."
    assert apply(plan, log, "bob") == 1
    assert said(log) == before | {("one", 1): Content(label="1e5", note="two lines")}

    rows = [{"layer": "one", "index": 0, "description": "7"}]  # nobody rewrites JSON
    assert only(plan_of(json.dumps(rows[0]), log, known)) == ("change", "")


def test_a_file_that_went_through_excel(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    """Semicolons, BOM, lost zeros, a duplicated row and one of another store: all told at once."""
    fill(log)
    lines = export_csv(log.all_current()).decode("utf-8-sig").splitlines(keepends=True)
    text = "".join(lines).replace('","', '";"').replace('"\'007"', '"7"')
    text += '"one";"2";"junk";"twice";"";"";"";"";"";""\r\n'
    text += '"one";"4";"";"";"";"";"";"";"";"0123456789abcdef"\r\n'
    plan = plan_of(text.encode("utf-8-sig"), log, known)
    assert plan.counts()["unchanged"] == 9
    assert [row.feature for row in plan.of("rewritten")] == ["1"]
    assert [row.outcome for row in plan.rows[-2:]] == ["bad", "unknown"]
    before = said(log)
    with pytest.raises(
        TableError, match="1 bad, 1 unknown, so nothing can be imported. The first"
    ) as e:
        apply(plan, log, "bob")
    assert str(e.value).endswith("Correct these rows or delete them.")
    assert said(log) == before


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_revision_of_another_database_is_no_luck(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...], tmp_path: Path, form: str
) -> None:
    """Both have saved the feature once: what is here is not what the file was made from."""

    def exported(from_log: AnnotationLog) -> str:
        events = from_log.all_current()
        return (export_csv(events) if form == "csv" else export_jsonl(events)).decode()

    (tmp_path / "other").mkdir()
    other = open_log(tmp_path / "other")
    say(other, 0, label="theirs")
    say(log, 0, label="mine")
    plan = plan_of(exported(other), log, known)
    (conflict,) = plan.of("conflict")
    assert re.match(r"The file has revision 1, saved by ada on .*; here is 1, ", conflict.reason)
    with pytest.raises(TableError, match="1 conflict, so nothing can be imported"):
        apply(plan, log, "bob")
    assert apply(plan, log, "bob", "keep") == 0
    assert said(log) == {("one", 0): Content(label="mine")}

    edited = exported(log).replace("mine", "mine, edited")  # one's own file is no conflict
    plan = plan_of(edited, log, known)
    assert only(plan) == ("change", "")
    assert apply(plan, log, "bob") == 1
    assert said(log) == {("one", 0): Content(label="mine, edited")}
    assert only(plan_of(edited.replace("edited", "again"), log, known))[0] == "conflict"


def test_what_a_row_says_of_its_origin(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    event = say(log, 0, label="here")
    naive = event.at.removesuffix("+00:00").replace("T", " ")
    cases = {
        ("1", "ada", event.at): "change",
        ("1", "ada", naive): "change",
        ("1", "ada", f"{naive[:-1]}{(int(naive[-1]) + 1) % 10}"): "conflict",
        ("1", "ada", "11/22/26"): "conflict",
        ("1", "eve", event.at): "conflict",
        ("2", "ada", event.at): "conflict",
        ("1", "", ""): "conflict",  # whose first save that is nobody knows
        ("1", "ada", ""): "conflict",
        ("1", "", event.at): "conflict",
        ("", "ada", event.at): "change",  # import whatever others have written
        ("", "", ""): "change",
    }
    for (revision, author, at), outcome in cases.items():
        text = f"dictionary,feature,label,revision,author,at\none,0,x,{revision},{author},{at}\n"
        found = only(plan_of(text, log, known))
        assert found[0] == outcome, (revision, author, at)
        if not (author and at) and revision:
            assert "The file has revision 1 and not whose and when it was; here is" in found[1]
    text = "dictionary,feature,label,revision\none,0,x,1\none,1,x,1\n"
    assert [row.outcome for row in plan_of(text, log, known).rows] == ["conflict", "add"]


def test_conflicts_are_refused_kept_or_taken(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    say(log, 0, label="a")
    exported = export_csv(log.all_current()).decode()
    say(log, 0, label="b")
    assert plan_of(exported.replace('"a"', '"b"'), log, known).counts()["unchanged"] == 1
    plan = plan_of(
        exported.replace('"a"', '"c"') + '"one","1","","d","","","","","",""', log, known
    )
    kept_or_taken = "1 conflict, so nothing can be imported.* Keep conflicts as they are here"
    with pytest.raises(TableError, match=kept_or_taken):
        apply(plan, log, "bob")
    assert said(log) == {("one", 0): Content(label="b")}
    assert apply(plan, log, "bob", "keep") == 1
    assert said(log) == {("one", 0): Content(label="b"), ("one", 1): Content(label="d")}
    plan = plan_of(exported.replace('"a"', '"c"'), log, known)
    assert apply(plan, log, "bob", "take") == 1
    assert said(log)["one", 0] == Content(label="c")
    assert log.conflicts() == ()


def test_nothing_is_written_if_one_is_changed_in_between(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    plan = plan_of("feature,dictionary,label\n0,one,a\n1,one,b\n2,one,c\n", log, known)
    say(log, 1, label="meanwhile")
    with pytest.raises(AnnotationsError, match="1 of 3 features have been changed since"):
        apply(plan, log, "bob")
    assert said(log) == {("one", 1): Content(label="meanwhile")}
    assert log.history("digest of one", 0) == () and log.conflicts() == ()


def test_nothing_is_written_if_one_row_fails(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    plan = plan_of("feature,dictionary,label\n0,one,a\n1,one,b\n", log, known)
    with pytest.raises(AnnotationError, match="author"):
        apply(plan, log, "x" * 1000)
    assert said(log) == {}


def test_rows_of_neuronpedia(log: AnnotationLog, known: tuple[DictionaryInfo, ...]) -> None:
    rows = [
        {"modelId": "m", "layer": "one", "index": "0", "description": "cats", "notes": None},
        {"layer": "two", "index": 1, "description": "dogs", "explanationModelName": "gpt"},
        {"layer": "6-res-jb", "index": "0", "description": "x", "umap_x": 0.5},
        {"layer": "one", "index": 12.0, "description": "x"},
        {"layer": "one", "index": "1", "description": "x", "tags": ["a; b", "c"]},
    ]
    plan = plan_of("\n".join(map(json.dumps, rows)), log, known)
    assert [row.outcome for row in plan.rows] == ["add", "add", "unknown", "unknown", "add"]
    assert [row.after.label for row in plan.of("add")] == ["cats", "dogs", "x"]
    assert plan.rows[-1].after.tags == ("a; b", "c")
    assert plan.ignored == ("umap_x",) and plan.n_by_programs == 1


@pytest.mark.parametrize("line", ["[1]", "{", "1", "[" * 100_000])
def test_lines_that_are_no_json(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...], line: str
) -> None:
    with pytest.raises(TableError, match="it.csv, line 2: it is no object of JSON"):
        plan_of(f"{{}}\n{line}", log, known)


def test_twenty_thousand_rows_take_seconds(
    log: AnnotationLog, known: tuple[DictionaryInfo, ...]
) -> None:
    wide = replace(known[0], n_features=20_000)
    data = export_csv(_event(n, Content(label=f"label {n}", tags=("t",))) for n in range(20_000))
    start = time.perf_counter()
    plan = plan_of(data, log, [wide])
    assert plan.counts()["add"] == 20_000
    assert time.perf_counter() - start < 15


def _event(feature: int, content: Content) -> Event:
    draft = Draft("u", "ada", "digest of one", "one", feature, 0, content)
    return Event(**vars(draft), number=1, revision=1, at="2026-01-01T00:00:00.000000+00:00")
