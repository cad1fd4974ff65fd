from dataclasses import replace
from pathlib import Path

from app import markup
from featurestore.live.records import Recomputed
from featurestore.records import ListPlace
from featurestore.store import Store


def test_a_note_escapes_all_and_sets_a_command_apart() -> None:
    html = markup.note("No '<b>'. Build one:\npython -m featurestore build R --store <x>", "error")
    assert "No &#x27;&lt;b&gt;&#x27;" in html
    assert "<code>python -m featurestore build R <span>--store</span> &lt;x&gt;</code>" in html


def test_lines_and_stats_escape() -> None:
    html = markup.line([("<i>", '"tip"')]) + markup.stats([("<a>", "<b>", "<c>")])
    assert "<i>" not in html
    assert 'title="&quot;tip&quot;"' in html
    assert "&lt;a&gt;" in html and "&lt;b&gt;" in html and "&lt;c&gt;" in html


def test_a_part_says_what_its_word_means() -> None:
    assert f'title="{markup.WORDS["peaks on"]}"' in markup.part("Peaks on")
    assert 'title=""' in markup.part("Provenance")


def test_the_place_in_a_list() -> None:
    assert markup.place_words(ListPlace(11, 873, 1, 2)) == "12 of 873"
    assert markup.place_words(ListPlace(None, 873, None, 2)) == "not in the list of 873"
    assert markup.order_words("density", False) == "sorted by density, lowest first"


def test_provenance_says_how_exact_the_activations_are(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    info = store.dictionary("planted")
    store.close()
    masked = replace(info, token_mask="padding and the BOS at position 0 left out")
    assert markup.provenance(masked).count("left out") == 1
    assert "float32" in markup.provenance(info) and "bfloat16" not in markup.provenance(info)
    change = {"n": 2000, "n_lost": 12, "n_gained": 7, "mean_relative_change": 0.0061}
    html = markup.provenance(replace(info, dtype="bfloat16", dtype_change=change))
    expected = "bfloat16: activations change by 0.61% on average, 12 of 2,000 are lost and 7 gained"
    assert expected in html


def test_provenance_names_digests_and_a_time_that_can_be_read(synthetic_store: Path) -> None:
    info = Store(synthetic_store).dictionary("planted")
    some = replace(
        info,
        digests={"model": "abc123", "dictionary": "def456"},
        built_at="2026-11-02T16:05:09+00:00",
    )
    html = markup.provenance(some)
    assert "2 November 2026, 16:05 UTC" in html
    assert "digest of model" in html and "abc123" in html and "def456" in html
    assert "path of the dictionary" not in html
    assert "sha256 abc123" in html
    assert "/there/&lt;sae&gt;" in markup.provenance(some, "/there/<sae>")
    assert "long ago" in markup.provenance(replace(some, built_at="long ago"))


def test_recomputed_says_whether_the_store_is_right(synthetic_store: Path) -> None:
    info = Store(synthetic_store).dictionary("planted")
    good = markup.recomputed(Recomputed(3, 300, 0.01, 7, 2, 0.02, 0), info)
    assert "Recomputed: as stored" in good
    assert "largest difference 0.0100" in good
    assert "fb-error" not in good
    bad = markup.recomputed(Recomputed(3, 300, 0.5, 7, 2, 0.02, 4), info)
    assert "4 differ by more than their step" in bad
    assert "fb-error" in bad
    nothing = markup.recomputed(Recomputed(0, 0, 0.0, None, None, 0.0, 0), info)
    assert "holds no example" in nothing


def test_facts_leave_out_what_all_share(synthetic_store: Path) -> None:
    info = Store(synthetic_store).dictionary("planted")
    hook, step = f"{info.hook_name}", f"step {info.step:,}"
    assert markup.dictionary_facts(info) == f"sae · {hook} · {step}"
    later = replace(info, step=info.step + 1)
    assert markup.dictionary_facts(info, [info, later]) == f"sae · {step}"
    other = replace(info, model_name="big", model_step=2000)
    both = [info, other]
    assert markup.dictionary_facts(other, both) == "sae · big · model step 2,000"
    assert markup.dictionary_facts(info, both) == f"sae · {info.model_name}"
