"""What a draft has to be before it is saved: tidied where that is harmless, refused where not."""

import re
from dataclasses import replace

from featurestore.annotations.records import (
    LONGEST_AUTHOR,
    LONGEST_LABEL,
    LONGEST_NOTE,
    LONGEST_TAG,
    MOST_TAGS,
    Content,
    Draft,
    Verdict,
)
from featurestore.errors import AnnotationError

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
"""What no database keeps: NUL, and halves of characters that UTF-8 cannot write."""


def cleaned(draft: Draft) -> Draft:
    """The draft as it is kept.

    Labels, tags and authors are one line without outer spaces; a note's lines end with a line feed;
    empty tags and those said before are dropped.

    Raises:
        AnnotationError: a field is empty, too long or holds what cannot be kept.
    """
    if not draft.digest:
        raise AnnotationError(
            f"'{draft.dictionary_id}' was built without a digest, by an older version: build it "
            "again to annotate its features."
        )
    author = one_line("author", draft.author, LONGEST_AUTHOR)
    if not author:
        raise AnnotationError("The author is empty: say who you are to save.")
    if not draft.uid:
        raise AnnotationError("The uid is empty: give every draft one of its own.")
    if (draft.kind in ("undo", "settle")) != (draft.about is not None):
        raise AnnotationError(
            f"A draft of kind '{draft.kind}' is about {draft.about}: 'undo' and 'settle' are about "
            "a revision, others about none."
        )
    for name in ("uid", "digest", "dictionary_id"):
        check_text(name, getattr(draft, name))
    return replace(draft, author=author, content=_cleaned_content(draft.content))


def one_line(name: str, text: str, longest: int) -> str:
    """A text with spaces for line breaks, and none outside.

    Raises:
        AnnotationError: it is longer than `longest` characters, or cannot be kept.
    """
    text = " ".join(text.splitlines()).strip()
    check_text(name, text, longest)
    return text


def check_text(name: str, text: str, longest: int | None = None) -> None:
    """Refuse what no database keeps, and more than `longest` characters.

    Raises:
        AnnotationError: naming the field, what was found and what is allowed.
    """
    if found := _NO_TEXT.search(text):
        raise AnnotationError(
            f"The {name} holds U+{ord(found[0]):04X} at character {found.start() + 1}, which "
            "cannot be kept: allowed is every character but NUL and lone surrogates."
        )
    if longest is not None and len(text) > longest:
        raise AnnotationError(
            f"The {name} has {len(text):,} characters, {len(text) - longest:,} too many: allowed "
            f"are {longest:,}."
        )


def _cleaned_content(content: Content) -> Content:
    note = content.note.replace("\r\n", "\n").replace("\r", "\n")
    check_text("note", note, LONGEST_NOTE)
    tags = [one_line("tag", tag, LONGEST_TAG) for tag in content.tags]
    tags = tuple(dict.fromkeys(filter(None, tags)))
    if len(tags) > MOST_TAGS:
        raise AnnotationError(f"There are {len(tags)} tags: allowed are {MOST_TAGS}.")
    try:
        verdict = None if content.verdict is None else Verdict(content.verdict)
    except ValueError as error:
        raise AnnotationError(
            f"The verdict is '{content.verdict}': allowed are {', '.join(Verdict)}, or none."
        ) from error
    return Content(verdict, one_line("label", content.label, LONGEST_LABEL), note, tags)
