import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from featurestore.annotations import log as log_module
from featurestore.annotations.database import Database
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Agreement, Content, Event, Verdict
from featurestore.errors import AnnotationError, AnnotationsError
from tests.annotations.drafts import DIGEST, draft, replayed

HOSTILE = [
    "<script>alert(1)</script> & &amp; <b>",
    "=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2",  # formulas
    "Robert'); drop table events; --", '" or 1=1 --', "%(x)s :name ? $1 {0} %s \\' \\",
    "\u202eright to left\u202c \u2066\u2069", "\u200b\ufeff zero width",
    "👩\u200d👩\u200d👧 🏳️\u200d🌈 \U0010ffff", "e\u0301 é ﬁ", "\x01\x02\x1b[31m\x7f",
    "'\"`´„“«»", "tab\there", "NULL", "none", "[]", '["a"]', "0",
]  # fmt: skip


def undo(log: AnnotationLog, seen: int, **fields: object) -> Event:
    usual = {"author": "Ann", "digest": DIGEST, "dictionary_id": "sae", "feature": 7}
    uid = fields.pop("uid", f"undo {random.random()}")
    return log.undo(uid, **(usual | fields), seen=seen)


def test_an_event_is_its_draft_and_when_and_where(log: AnnotationLog) -> None:
    content = {"verdict": Verdict.UNSURE, "note": "two\nlines", "tags": ("a", "b")}
    one = draft(label="first", **content)
    event = log.append(one)
    assert event == Event(**vars(one), number=1, revision=1, at=event.at, is_conflict=False)
    age = datetime.now(UTC) - datetime.fromisoformat(event.at)
    assert timedelta(0) <= age < timedelta(seconds=60)
    assert len(event.at) == len("2026-01-01T00:00:00.000000+00:00")
    assert log.current(DIGEST) == {7: event}
    assert log.history(DIGEST, 7) == (event,)


def test_a_stale_draft_is_kept_but_not_current(log: AnnotationLog) -> None:
    first = log.append(draft(label="first"))
    ann = log.append(draft(seen=1, label="Ann's"))
    bob = log.append(draft(seen=1, label="Bob's", author="Bob"))
    assert (bob.revision, bob.is_conflict) == (3, True)
    assert log.current(DIGEST) == {7: ann}
    assert log.history(DIGEST, 7) == (first, ann, bob)
    assert log.conflicts() == log.conflicts(DIGEST) == log.conflicts(DIGEST, 7) == (bob,)
    assert log.conflicts(DIGEST, 8) == log.conflicts("e" * 64) == ()
    # The revision to have seen is that of what is current, not the conflict's.
    assert log.append(draft(seen=3, label="saw the conflict only")).is_conflict
    assert not log.append(draft(seen=2, label="saw Ann's")).is_conflict


def test_saying_the_same_is_no_conflict(log: AnnotationLog) -> None:
    log.append(draft(label="first"))
    log.append(draft(seen=1, label="same"))
    again = log.append(draft(seen=1, label="same ", author="Bob"))
    assert not again.is_conflict and log.current(DIGEST) == {7: again}


def test_settling_a_conflict(log: AnnotationLog) -> None:
    log.append(draft(label="first"))
    conflicts = [log.append(draft(label=f"late {i}", author="Bob")) for i in range(2)]
    elsewhere = log.append(draft(8, 5, label="saw what is not there"))
    assert log.conflicts() == (*conflicts, elsewhere)
    stale = log.append(draft(seen=0, label="both", kind="settle", about=2))
    assert stale.is_conflict
    assert log.conflicts(DIGEST, 7) == (*conflicts, stale)
    settled = log.append(draft(seen=1, label="both", kind="settle", about=2))
    assert log.conflicts(DIGEST, 7) == (conflicts[1], stale)
    log.append(draft(seen=settled.revision, label="both", kind="settle", about=3))
    log.append(draft(8, 0, label="another's", kind="settle", about=4))  # not of feature 7
    assert log.conflicts(DIGEST, 7) == (stale,)


def test_a_draft_is_saved_once(log: AnnotationLog) -> None:
    one = draft(label="first")
    event = log.append(one)
    log.append(draft(seen=1, label="second"))
    assert log.append(one) == log.append(replace(one, seen=2)) == event
    for other in ({"content": Content(label="x")}, {"author": "Bob"}, {"feature": 8}):
        with pytest.raises(AnnotationError, match=f"'{one.uid}' is that of another draft"):
            log.append(replace(one, **other))
    assert len(log.history(DIGEST, 7)) == 2 and log.history(DIGEST, 8) == ()


def test_every_text_comes_back_as_it_was(log: AnnotationLog) -> None:
    for text in HOSTILE:
        note, tags = f"{text}\n{text}", (text.strip(), f"{text}2".strip())
        everywhere = {"uid": text, "digest": text, "dictionary_id": text, "author": text.strip()}
        event = log.append(draft(label=text, note=note, tags=tags, **everywhere))
        assert {name: getattr(event, name) for name in everywhere} == everywhere
        assert event.content == Content(None, text.strip(), note, tags)
        assert log.history(text, 7) == log.all_current([text]) == (event,)


def test_all_or_none(log: AnnotationLog) -> None:
    log.append(draft(0, label="is there"))
    drafts = [draft(i, label=f"{i}", kind="import") for i in range(1, 1500)]
    follows = draft(1, 1, "seen the draft before", kind="import")
    events = log.append_all([*drafts, follows])
    assert [event.content.label for event in events] == [d.content.label for d in drafts] + [
        "seen the draft before"
    ]
    assert [event.number for event in events] == list(range(2, 1502))
    assert log.append_all([*drafts, follows]) == events  # once more is once
    assert log.append_all([]) == ()
    more = [draft(2000, label="new"), *(draft(i, label="stale") for i in range(8))]
    with pytest.raises(AnnotationsError) as caught:
        log.append_all(more)
    assert str(caught.value) == (
        "8 of 9 features have been changed since they were read: feature 0 of 'sae', 1 of 'sae', "
        "2 of 'sae', 3 of 'sae', 4 of 'sae' and 3 more. Nothing was saved; look at them again "
        "first."
    )
    with pytest.raises(AnnotationError, match="label has 301"):
        log.append_all([draft(2000), draft(2001, label="l" * 301)])
    assert log.history(DIGEST, 2000) == log.conflicts() == ()
    assert len(log.current(DIGEST)) == 1500
    assert log.current(DIGEST, range(1200)) == {
        f: e for f, e in log.current(DIGEST).items() if f < 1200
    }


def test_undo_walks_back_and_an_edit_begins_anew(log: AnnotationLog) -> None:
    for seen, label in enumerate("ABC"):
        log.append(draft(seen=seen, label=label))
    assert log.append(draft(label="late")).is_conflict  # revision 4, never to be restored
    log.append(draft(seen=3, label="C", kind="settle", about=4))
    assert undo(log, 5).content == Content(label="C")  # what was in force before the decision
    walked = []
    seen = 6
    while (undone := log.undone(DIGEST, 7)) is not None:
        event = undo(log, seen)
        expected = (undone.content, undone.about, "undo", undone.author)
        assert (event.content, event.about, event.kind, event.author) == expected
        walked.append((event.content.label, event.about))
        seen = event.revision
    assert walked == [("B", 2), ("A", 1), ("", 0)]
    assert log.all_current() == () and log.current(DIGEST)[7].content.is_empty
    with pytest.raises(AnnotationError, match="Feature 7 of 'sae': nothing to undo"):
        undo(log, seen)
    edit = log.append(draft(seen=seen, label="D"))
    assert undo(log, edit.revision).content == Content()
    assert undo(log, edit.revision + 1).content == Content(label="A")  # what the undo had restored
    replayed(log.history(DIGEST, 7))


def test_undo_of_what_has_changed_or_never_was(log: AnnotationLog) -> None:
    with pytest.raises(AnnotationError, match="nothing to undo"):
        undo(log, 0)
    log.append(draft(label="A"))
    log.append(draft(seen=1, label="B", author="Bob"))
    with pytest.raises(AnnotationsError, match=r"changed by Bob .*\(revision 2, you saw 1\)"):
        undo(log, 1)
    assert len(log.history(DIGEST, 7)) == 2
    event = undo(log, 2, uid="once", author=" Bob ")
    assert undo(log, 2, uid="once", author="Bob") == event
    assert len(log.history(DIGEST, 7)) == 3
    with pytest.raises(AnnotationError, match="'once' is that of another draft"):
        undo(log, 2, uid="once")


def test_nobody_undoes_what_others_saved(log: AnnotationLog) -> None:
    log.append(draft(label="Bob's", author="Bob"))
    theirs = "Feature 7 of 'sae': Bob saved what is in force, and nobody undoes what others saved"
    with pytest.raises(AnnotationError, match=theirs):
        undo(log, 1)
    log.append(draft(seen=1, label="Ann's"))
    with pytest.raises(AnnotationError, match="Ann saved what is in force"):
        undo(log, 2, author="Bob")
    assert undo(log, 2).content == Content(label="Bob's")
    with pytest.raises(AnnotationError, match=theirs):  # Ann's undo said nothing: Bob's is there
        undo(log, 3)
    log.append(draft(seen=3, label="Ann's again"))
    assert undo(log, 4).about == 3  # what her first undo had restored
    with pytest.raises(AnnotationError, match=theirs):
        undo(log, 5)
    assert undo(log, 5, author="Bob").content == Content(label="Ann's")
    assert [event.kind for event in log.history(DIGEST, 7)] == [
        *("edit", "edit", "undo", "edit", "undo", "undo"),
    ]


def test_an_open_conflict_is_decided_and_not_undone(log: AnnotationLog) -> None:
    log.append(draft(label="Bob's", author="Bob"))
    late = log.append(draft(label="Ann's"))
    assert late.is_conflict
    for author in ("Ann", "Bob"):
        with pytest.raises(AnnotationError, match="has a conflict, so nothing was undone: decide"):
            undo(log, 1, author=author)
    assert log.current(DIGEST)[7].content == Content(label="Bob's")
    log.append(draft(seen=1, label="Ann's", kind="settle", about=late.revision))
    assert undo(log, 3).content == Content(label="Bob's")  # her own decision
    with pytest.raises(AnnotationError, match="Bob saved what is in force"):
        undo(log, 4)
    assert undo(log, 4, author="Bob").content == Content()


@pytest.mark.parametrize("name", ["_saved", "_revisions", "_current", "_accepted"])
def test_somebody_saves_while_a_save_looks(
    postgres_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any question of a transaction the server may show another's save to the next."""
    mine, other = (AnnotationLog(Database(postgres_url)) for _ in range(2))
    real = getattr(log_module, name)

    def look_and_be_overtaken(*arguments: object) -> object:
        monkeypatch.setattr(log_module, name, real)  # once only
        found = real(*arguments)
        seen = other.current(DIGEST)[7].revision
        other.append(draft(seen=seen, label="other's", author="Bob"))
        return found

    mine.append(draft(label="first"))
    if name != "_accepted":  # which a plain save does not ask
        monkeypatch.setattr(log_module, name, look_and_be_overtaken)
        late = mine.append(draft(seen=1, label="mine"))
        assert late.is_conflict
        mine.append(draft(seen=2, label="other's", kind="settle", about=late.revision))
    event = mine.append(draft(seen=mine.current(DIGEST)[7].revision, label="second"))
    monkeypatch.setattr(log_module, name, look_and_be_overtaken)
    with pytest.raises(AnnotationsError, match="was changed by Bob since you looked"):
        undo(mine, event.revision)
    history = mine.history(DIGEST, 7)
    assert history[-1].content.label == "other's"
    replayed(history)
    for one in (mine, other):
        one.database.close()


def test_against_a_log_in_plain_python(log: AnnotationLog) -> None:
    rng = random.Random(5)
    events: list[Event] = []
    for _ in range(100):
        feature, digest = rng.randrange(4), rng.choice([DIGEST, "e" * 64])
        head = log.current(digest, [feature]).get(feature)
        seen = (head.revision if head else 0) - (rng.random() < 0.2)
        undone = log.undone(digest, feature)
        is_open = log.conflicts(digest, feature) != ()
        if rng.random() < 0.4 and undone and seen == head.revision and not is_open:
            events.append(undo(log, seen, feature=feature, digest=digest, author=undone.author))
            continue
        said = {"verdict": rng.choice([*Verdict, None]), "tags": rng.sample(["a", "b"], 1)}
        author = rng.choice(["Ann", "Bob", "Eve"])
        label = rng.choice(["", "x", "y"])
        events.append(log.append(draft(feature, seen, label, author=author, digest=digest, **said)))
    current = replayed(events)
    for digest in (DIGEST, "e" * 64):
        mine = {feature: event for (d, feature), event in current.items() if d == digest}
        assert log.current(digest) == mine
        saying = [event for event in mine.values() if not event.content.is_empty]
        assert set(log.all_current([digest])) == set(saying)
        verdicts = [event.content.verdict for event in saying]
        assert log.counts(digest) == {v: verdicts.count(v) for v in verdicts}
        assert log.verdicts(digest) == {
            e.feature: e.content.verdict for e in saying if e.content.verdict
        }
    assert log.conflicts() == tuple(event for event in events if event.is_conflict)


def test_all_current_is_in_the_order_of_names(log: AnnotationLog) -> None:
    for feature, name in ((10, "b"), (9, "b"), (1, "c"), (5, "B")):
        log.append(draft(feature, label="x", dictionary_id=name, digest=name))
    found = [(event.dictionary_id, event.feature) for event in log.all_current()]
    assert found == [("B", 5), ("b", 9), ("b", 10), ("c", 1)]
    assert log.all_current([]) == ()


def test_how_far_authors_agree(log: AnnotationLog) -> None:
    junk, unsure = Verdict.JUNK, Verdict.UNSURE

    def say(feature: int, author: str, verdict: Verdict | None, **fields: object) -> Event:
        head = log.current(DIGEST, [feature]).get(feature)
        seen = head.revision if head else 0
        return log.append(
            draft(feature, **({"seen": seen} | fields), author=author, verdict=verdict)
        )

    for feature, ann, bob in ((1, junk, junk), (2, junk, unsure), (3, unsure, unsure)):
        say(feature, "Ann", ann)
        say(feature, "Bob", bob)
    assert say(4, "Bob", junk).revision == 1
    assert say(4, "Ann", junk, seen=9, note="too late").is_conflict  # her word all the same
    say(5, "Ann", junk)
    say(5, "Bob", None)  # no verdict, no opinion
    say(6, "Ann", junk)
    say(6, "Bob", junk, kind="import")  # perhaps somebody else's
    say(6, "Eve", unsure, kind="settle", about=1)
    # Of 1 to 4 Ann says j j u j, Bob j u u j: p_o 3/4, p_e (3/4)(1/2) + (1/4)(1/2) = 1/2.
    assert log.agreement() == log.agreement(DIGEST) == (Agreement(("Ann", "Bob"), 4, 3, 0.5),)
    assert log.agreement("e" * 64) == ()
    # Bob changes his mind, and then undoes that: his earlier word counts again.
    changed = say(1, "Bob", unsure)
    assert log.agreement()[0].n_agreed == 2
    undone = undo(log, changed.revision, feature=1, author="Bob")
    assert log.agreement() == (Agreement(("Ann", "Bob"), 4, 3, 0.5),)
    # Undoing once more takes back the first; Ann's is older, and not his to take back.
    undo(log, undone.revision, feature=1, author="Bob")
    assert log.agreement()[0].n == 3
    log.append(draft(99, author="Eve", verdict=junk))
    pairs = {agreement.authors: agreement for agreement in log.agreement()}
    assert list(pairs) == [("Ann", "Bob"), ("Ann", "Eve"), ("Bob", "Eve")]
    assert pairs["Ann", "Eve"] == Agreement(("Ann", "Eve"), 0, 0, None)
