import errno
import os
import pickle
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from featurestore import writer
from featurestore.__main__ import main
from featurestore.config import Recipe
from featurestore.errors import not_installed
from featurestore.recipes import read_recipe
from tests.tiny_model import D_MODEL, LONG_PASSES_OFF, save_dictionary, save_recipe

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that works, to be copied and spoilt."""
    folder = tmp_path_factory.mktemp("template")
    save_recipe(folder, **LONG_PASSES_OFF)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "run")


def command(*arguments: object) -> subprocess.CompletedProcess:
    """The real command line."""
    line = [sys.executable, "-m", "featurestore", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "given",
    [["featurestore", "formats"], ["featurestore.demo", "build"], ["featurestore", "info"]],
    ids=" ".join,
)
def test_a_python_without_the_requirements_is_told_in_a_sentence(given: list[str]) -> None:
    line = [sys.executable, "-S", "-m", *given]  # -S: without what is installed
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 2
    assert re.fullmatch(
        r"error: \w+ is not installed in this Python \(\S+\)\. Activate .*: "
        r"source \.venv/bin/activate\n",
        run.stderr,
    )


def test_a_part_that_a_requirement_lacks_is_no_missing_requirement() -> None:
    with pytest.raises(ModuleNotFoundError, match="no such part"):
        not_installed(ModuleNotFoundError("no such part", name="torch.nowhere"))


def build(folder: Path) -> int:
    return main(["build", str(folder / "recipe.toml"), "--store", str(folder / "store")])


def error_of(stderr: str) -> str:
    """The one message, without the bars of progress before it."""
    assert "Traceback" not in stderr
    before, found, message = stderr.rpartition("error: ")
    assert found
    assert "error: " not in before
    return message


def served(folder: Path) -> list[Path]:
    return list((folder / "store").glob("dictionaries/**/*.*"))


# What a user can get wrong


def recipe(old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "recipe.toml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return spoil


def weight(name: str, value: float) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "sae" / "dictionary.safetensors"
        weights = load_file(path)
        weights[name].view(-1)[5] = value
        save_file(weights, path)

    return spoil


def other_width(folder: Path) -> None:
    save_dictionary(folder / "sae", d_in=8)


def no_tokenizer(folder: Path) -> None:
    for path in (folder / "model").glob("tokenizer*"):
        path.unlink()


def empty_texts(folder: Path) -> None:
    for path in (folder / "texts").iterdir():
        path.write_text("")


class Foreign:
    """What an attack looks like: a file that runs a command when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch canary",)


def pickled(folder: Path) -> None:
    shutil.rmtree(folder / "sae")
    (folder / "sae").mkdir()
    torch.save({"encoder.weight": Foreign()}, folder / "sae" / "ae.pt")
    recipe('path = "sae"', 'path = "sae"\nhook_name = "blocks.0.hook_resid_post"')(folder)


def plain_pickle(folder: Path) -> None:
    pickled(folder)
    (folder / "sae" / "ae.pt").write_bytes(pickle.dumps(Foreign()))


BAD = {
    "unknown key": (recipe("context_length", "contextlength"), ["corpus.contextlength", "Did you"]),
    "wrong type": (recipe("= 4", "= true"), ["'contexts_per_block' is True", "whole number"]),
    "no model": (recipe('"model"', '"./nothing"'), ["'model.name' is './nothing'", "no folder"]),
    "no model on the hub": (recipe('"model"', '"nothing"'), ["Model 'nothing'", "save_pretrained"]),
    "model without config": (
        lambda folder: (folder / "model" / "config.json").unlink(),
        ["has no config.json"],
    ),
    "model without weights": (
        lambda folder: (folder / "model" / "model.safetensors").write_bytes(b"short"),
        ["could not be loaded"],
    ),
    "model without tokenizer": (no_tokenizer, ["has no tokenizer", "tokenizer.save_pretrained"]),
    "no dictionary": (recipe('path = "sae"', 'path = "s"'), ["'sae'", "does not exist"]),
    "no known format": (recipe('path = "sae"', 'path = "texts"'), ["no known format", "formats"]),
    "other width": (other_width, ["vectors of 8 dimensions", f"has {D_MODEL}", "'sae'"]),
    "NaN": (weight("W_enc", float("nan")), ["'W_enc' holds 1 values that are NaN"]),
    "Inf": (weight("W_dec", float("inf")), ["'W_dec' holds 1 values that are NaN or infinite"]),
    "hook point": (
        recipe('path = "sae"', 'path = "sae"\nhook_name = "blocks.0.hook_resid_pst"'),
        [
            "Dictionary 'sae': Model",
            "no hook point 'blocks.0.hook_resid_pst'",
            "Nearest: blocks.0.",
        ],
    ),
    "layer": (
        recipe('path = "sae"', 'path = "sae"\nhook_name = "blocks.9.hook_resid_post"'),
        ["no hook point", "Its layers are 0 to 1"],
    ),
    "foreign objects": (pickled, ["ae.pt: refused", "could run code", "system"]),
    "a plain pickle": (plain_pickle, ["ae.pt: "]),
    "no text": (empty_texts, ["holds no text"]),
    "a folder of text": (
        recipe("texts/*.txt", "texts"),
        ["No file matches", "texts' is a folder; its files are"],
    ),
    "an address of the web": (
        recipe('path = "sae"', 'path = "https://huggingface.co/owner/name"'),
        ["'path' is 'https://", "write hub:owner/name/path"],
    ),
    "a baseline's hook point": (
        recipe('path = "sae"', 'baseline = "pca"\nhook_name = "blocks.0.hook_resid"'),
        ["Dictionary 'sae': Model", "no hook point 'blocks.0.hook_resid'"],
    ),
    "more components than dimensions": (
        recipe(
            'path = "sae"',
            'baseline = "ica"\nhook_name = "blocks.0.hook_resid_post"\nn_features = 34',
        ),
        ["'n_features' is 34", "has 16 dimensions", "at most 32 features"],
    ),
    "no file of text": (recipe("*.txt", "*.md"), ["No file matches", "'corpus.files'"]),
    "text that is none": (
        lambda folder: (folder / "texts" / "text-1.txt").write_bytes(b"\xff\xfe\xfd"),
        ["text-1.txt' is not UTF-8"],
    ),
    "long contexts": (
        recipe("= 16", "= 64"),
        ["'corpus.context_length' is 64", "at most 32", "under [corpus]"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_one_message(
    folder: Path, case: str, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, expected = BAD[case]
    spoil(folder)
    monkeypatch.chdir(folder)
    assert build(folder) == 2
    message = error_of(capfd.readouterr().err)
    assert [part for part in expected if part not in message] == []
    assert not (folder / "store").exists()
    assert not (folder / "canary").exists()


def test_the_real_command_line(folder: Path, capfd: pytest.CaptureFixture) -> None:
    store = folder / "store"
    absent = command("build", folder / "absent.toml", "--store", store)
    assert absent.returncode == 2
    assert error_of(absent.stderr) == (
        f"Recipe '{folder / 'absent.toml'}' cannot be read: No such file or directory.\n"
    )
    assert command().returncode == 2
    assert command("info", "--store", store).returncode == 1

    recipe("*.txt", "*.md")(folder)
    assert build(folder) == 2  # in this process: another takes seconds to load its libraries
    broken = capfd.readouterr()
    assert broken.out == ""
    assert "No file matches" in error_of(broken.err)
    assert not store.exists()

    recipe("*.md", "*.txt")(folder)
    mended = command("build", folder / "recipe.toml", "--store", store)
    assert (mended.returncode, mended.stdout) == (0, f"1 published in {store}\n")
    (path,) = served(folder)
    listed = command("info", "--store", store)
    assert listed.stdout.startswith("sae ") and path.stem in listed.stdout
    assert command("verify", "--store", store).stdout.startswith(f"ok   {path}: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(folder: Path, capfd: pytest.CaptureFixture) -> None:
    line = [str(folder / "recipe.toml"), "--store", str(folder / "store"), "--device", "cuda"]
    for name in ("build", "merge"):
        assert main([name, *line]) == 2
        message = error_of(capfd.readouterr().err)
        assert "torch sees no CUDA device" in message and "--device cpu works" in message
    assert not (folder / "store").exists()


def test_ray_that_is_not_installed(
    folder: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "featurestore.ray_engine", raising=False)
    for name in ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")  # which the module sets
    line = ["build", str(folder / "recipe.toml"), "--store", str(folder / "store")]
    assert main([*line, "--engine", "ray"]) == 1
    assert "pip install -r requirements-ray.txt" in error_of(capfd.readouterr().err)
    assert not (folder / "store").exists()


def test_shards_are_merged(folder: Path, capsys: pytest.CaptureFixture) -> None:
    line = [str(folder / "recipe.toml"), "--store", str(folder / "store")]
    for i in (2, 1):
        assert main(["build", *line, "--shard", f"{i}/2"]) == 0
        assert f"shard {i} of 2 is swept" in capsys.readouterr().out
        if i == 2:
            assert main(["merge", *line]) == 1
            assert "are missing in" in error_of(capsys.readouterr().err)
    assert main(["merge", *line]) == 0
    assert capsys.readouterr().out == f"1 published in {folder / 'store'}\n"
    assert main(["merge", *line]) == 0
    assert capsys.readouterr().out == f"0 published in {folder / 'store'}\n"


def test_other_settings_need_a_word(folder: Path, capfd: pytest.CaptureFixture) -> None:
    line = ["build", str(folder / "recipe.toml"), "--store", str(folder / "store")]
    assert main([*line, "--shard", "1/2"]) == 0
    recipe("contexts_per_block = 4", "contexts_per_block = 5")(folder)
    capfd.readouterr()
    assert main(line) == 2
    message = error_of(capfd.readouterr().err)
    assert "Differing: contexts_per_block: 4 there, 5 now. Set" in message
    assert "--discard" in message
    assert served(folder) == []
    assert main([*line, "--discard"]) == 0
    assert len(served(folder)) == 1
    assert list((folder / "store" / "work").iterdir()) == []


# A disk that is full, and other refusals of the system


@pytest.mark.parametrize(
    ("limit", "expected"), [(1_500, "Block 0 could not be written"), (50_000, "free space")]
)
def test_a_full_disk(folder: Path, limit: int, expected: str, capfd: pytest.CaptureFixture) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
    try:
        assert build(folder) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert expected in error_of(capfd.readouterr().err)
    assert served(folder) == []
    assert build(folder) == 0
    assert main(["verify", "--store", str(folder / "store")]) == 0


def test_a_disk_that_is_full_at_the_last_moment(
    folder: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(writer, "force_to_disk", full)
        assert build(folder) == 1
    message = error_of(capfd.readouterr().err)
    assert "No space left on device" in message and "the same build again" in message
    assert served(folder) == []
    assert build(folder) == 0
    assert len(served(folder)) == 1


@pytest.mark.parametrize("name", ["store", "store/work", "store/dictionaries"])
def test_a_file_where_a_folder_should_be(
    folder: Path, name: str, capfd: pytest.CaptureFixture
) -> None:
    (folder / "store").mkdir()
    if name == "store":
        (folder / "store").rmdir()
    (folder / name).write_text("in the way")
    assert build(folder) == 1
    assert str(folder / name) in error_of(capfd.readouterr().err)


def test_an_interrupted_build_says_that_it_goes_on(
    folder: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("featurestore.build.sweep", interrupt)
    assert build(folder) == 130
    assert "the same command goes on with what is not finished" in capfd.readouterr().err


def test_a_signal_while_modules_are_imported_stops_the_build(
    folder: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> Recipe:  # before torch is imported, which takes seconds
        os.kill(os.getpid(), signal.SIGINT)
        return read_recipe(path)

    monkeypatch.setattr("featurestore.recipes.read_recipe", read)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a script
    try:
        assert build(folder) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "stopping after this block or step" in capfd.readouterr().err
    assert not list((folder / "store").rglob("*.duckdb"))


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["nothing"], ["build"], ["info", "--jsn"]),
        *(["build", "r.toml", "--shard", shard] for shard in ("0/2", "3/2", "1", "a/b", "1/2/3")),
        *(["build", "r.toml", "--workers", n] for n in ("0", "-1", "x")),
        ["build", "r.toml", "--workers", "2", "--engine", "ray"],
        ["build", "r.toml", "--workers", "2", "--shard", "1/2"],
        ["build", "r.toml", "--device", "tpu"],
        ["merge", "r.toml", "--shard", "1/2"],
    ],
)
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m featurestore" in capsys.readouterr().err
