"""The architecture as a test: who may import whom.

The tables follow the design; a new module gets its row here in the commit that adds it.
"""

import graphlib
import subprocess
import sys

from tests.modules import MODULES, PACKAGES, ROOT, every_import, imports, is_within

RECORDS = tuple(
    f"featurestore.{name}"
    for name in "records detail_records pair_records link_records byte_names errors".split()
)
TRACKS = tuple(f"featurestore.{name}" for name in "track_records checkpoints tracks".split())
"""Features over training: records of numpy arrays, and pure functions of them."""
TORCH = (
    "featurestore.dictionaries",
    "featurestore.inference",
    "featurestore.remainder",
    "featurestore.corpus",
    "featurestore.suitability",
    "featurestore.embedding_control",
    "featurestore.vocabulary",
)
DUCKDB = (
    "featurestore.store",
    "featurestore.writer",
    "featurestore.dictionary_file",
    "featurestore.pair_file",
    "featurestore.pairs",
    "featurestore.served_files",
    "featurestore.links",
    "featurestore.small_file",
    "featurestore.open_files",
    "featurestore.two_runs",
    "featurestore.pair_columns",
    "featurestore.store_file",
    "featurestore.details",
    "featurestore.listing",
    "featurestore.text_search",
    "featurestore.annotations",
)

LAYERS = {
    "pages": ("app", *RECORDS),
    "app": (
        "app",
        "featurestore.annotations",
        "featurestore.explanations",
        "featurestore.live.records",
        "featurestore.chance",
        "featurestore.spreadsheet",
        *TRACKS,
        *RECORDS,
    ),
    "app.session": (
        "app",
        "featurestore.store",
        "featurestore.annotations",
        *RECORDS,
    ),
    "app.live.service": (
        "app",
        "featurestore.live.records",
        "featurestore.live.runner",
        "featurestore.store",
        *RECORDS,
    ),
    "featurestore.__main__": ("featurestore",),
    **dict.fromkeys(
        [
            f"featurestore.{name}"
            for name in (
                "build linking live matching notebook plan publish precision ray_engine sweep "
                "workers".split()
            )
        ],
        ("featurestore",),
    ),
    "featurestore.demo": ("featurestore",),
    "featurestore.passes": (
        "featurestore.passes",
        "featurestore.activations",
        "featurestore.config",
        "featurestore.decoding",
        "featurestore.encoder",
        "featurestore.perturbation",
        "featurestore.stop",
        "featurestore.threads",
        *TORCH,
        *RECORDS,
    ),
    "featurestore.baselines": (
        "featurestore.baselines",
        "featurestore.config",
        "featurestore.digests",
        "featurestore.encoder",
        "featurestore.stop",
        "featurestore.threads",
        *TORCH,
        *RECORDS,
    ),
    "featurestore.activations": ("featurestore.blocks", *RECORDS),
    "featurestore.blocks": ("featurestore.stamped_file", *RECORDS),
    "featurestore.stamped_file": RECORDS,
    "featurestore.kept_rows": (
        "featurestore.passes.base",
        "featurestore.stamped_file",
        *RECORDS,
    ),
    "featurestore.built_from": (*TORCH, "featurestore.config", "featurestore.places", *RECORDS),
    "featurestore.encoder": ("featurestore.dictionaries", "featurestore.inference", *RECORDS),
    "featurestore.decoding": ("featurestore.dictionaries", "featurestore.encoder"),
    "featurestore.perturbation": (),
    "featurestore.literals": (),
    "featurestore.chance": (),
    "featurestore.hub": RECORDS,
    "featurestore.live.records": RECORDS,
    "featurestore.places": ("featurestore.config", *RECORDS),
    "featurestore.workspace": ("featurestore.blocks", *RECORDS),
    "featurestore.stop": RECORDS,
    "featurestore.threads": (),
    **dict.fromkeys(
        TORCH,
        (
            *TORCH,
            "featurestore.config",
            "featurestore.documents",
            "featurestore.hook_points",
            *RECORDS,
        ),
    ),
    "featurestore.documents": ("featurestore.config", *RECORDS),
    "featurestore.hook_points": (),
    **dict.fromkeys(
        (*DUCKDB, "featurestore.verify"),
        (
            "featurestore.feature_list",
            "featurestore.rows",
            "featurestore.digests",
            "featurestore.spreadsheet",
            "featurestore.track_records",
            *DUCKDB,
            *RECORDS,
        ),
    ),
    "featurestore.store": (
        "featurestore.feature_list",
        "featurestore.places",
        "featurestore.rows",
        "featurestore.track_records",
        *DUCKDB,
        *RECORDS,
    ),
    "featurestore.feature_list": ("featurestore.literals", *RECORDS),
    "featurestore.rows": RECORDS,
    "featurestore.digests": RECORDS,
    "featurestore.annotations.records": (),
    "featurestore.annotations.agreement": ("featurestore.annotations.records",),
    "featurestore.explanations": (
        "featurestore.explanations",
        "featurestore.spreadsheet",
        *DUCKDB,
        *RECORDS,
    ),
    "featurestore.spreadsheet": RECORDS,
    "featurestore.config": (),
    "featurestore.recipes": ("featurestore.config", "featurestore.toml_tables", *RECORDS),
    "featurestore.toml_tables": RECORDS,
    "featurestore.records": RECORDS,
    "featurestore.detail_records": (),
    "featurestore.pair_records": (),
    "featurestore.link_records": (),
    "featurestore.byte_names": (),
    "featurestore.track_records": (),
    **dict.fromkeys(TRACKS[1:], (*TRACKS, *RECORDS)),
    "featurestore.errors": (),
    "featurestore": (),
}
"""A module or package, and what of the project it may import. The longest name that fits decides.

Within one row of the design a module may import its neighbour; the test of cycles keeps that sane.
"""

COMPUTING = (
    *TORCH,
    "featurestore.baselines",
    "featurestore.passes",
    *(
        f"featurestore.{name}"
        for name in (
            "build built_from decoding encoder linking live matching perturbation plan publish "
            "precision ray_engine sweep threads workers".split()
        )
    ),
)
HOMES = {
    "datasets": ("featurestore.documents",),
    "duckdb": DUCKDB,
    "plotly": ("app.compare.charts", "app.pair.charts", "app.tracks.charts"),
    "ray": ("featurestore.ray_engine",),
    "threadpoolctl": ("featurestore.baselines",),
    "sqlalchemy": ("featurestore.annotations",),
    "streamlit": ("app", "pages"),
    "torch": (*COMPUTING, "featurestore.demo"),
    "transformer_lens": ("featurestore.inference",),
    "transformers": (*COMPUTING, "featurestore.demo"),
    "umap": ("featurestore.passes.layout",),
}
"""A heavy library, and the modules or packages that alone may import it."""

PLAIN = (*RECORDS, "featurestore.config", "featurestore.recipes", "featurestore.toml_tables")
"""Modules that import nothing but the standard library and each other."""

READ_SIDE = (
    *PLAIN,
    *DUCKDB,
    *TRACKS,
    "featurestore.live.records",
    "app.session",
    "app.links",
    "app.figures",
    "app.panels",
    "app.live.service",
    "app.live.panels",
)
HEAVY = ("torch", "transformers", "transformer_lens", "umap", "datasets")


def layer_of(name: str) -> str:
    """The longest row of LAYERS that fits; the package's own row fits no module inside it."""
    rows = [row for row in LAYERS if row == name or name.startswith(f"{row}.")]
    return max((row for row in rows if row == name or row != "featurestore"), key=len, default="")


def test_every_module_has_a_layer() -> None:
    assert [name for name in MODULES if not layer_of(name)] == []


def test_a_module_imports_only_from_the_layers_below() -> None:
    wrong = [
        module.at(found.line, f"{module.name} may not import {found.target}")
        for module, found in every_import()
        if is_within(found.target, PACKAGES) or found.target.startswith(".")
        if not is_within(found.target, LAYERS.get(layer_of(module.name), ()))
    ]
    assert wrong == []


def test_live_imports_what_loads_torch_inside_a_function() -> None:
    found = [
        i for m, i in every_import() if m.name.startswith("app.") and "live.runner" in i.target
    ]
    assert [one.is_lazy for one in found] == [True]


def test_heavy_libraries_have_one_home() -> None:
    wrong = [
        module.at(found.line, f"{found.target} belongs in {HOMES[library]}")
        for module, found in every_import()
        if (library := found.target.partition(".")[0]) in HOMES
        if not is_within(module.name, HOMES[library])
    ]
    assert wrong == []


def test_the_lowest_layer_needs_the_standard_library_only() -> None:
    wrong = [
        module.at(found.line, found.target)
        for module, found in every_import()
        if module.name in PLAIN and not is_within(found.target, PACKAGES)
        if found.target.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert wrong == []


def test_no_cycle_of_imports() -> None:
    graph = {
        name: {i.target for i in imports(module.tree) if i.target in MODULES and not i.is_lazy}
        for name, module in MODULES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_the_read_side_starts_without_heavy_libraries() -> None:
    names = [name for name in READ_SIDE if name in MODULES]
    code = f"import sys, {', '.join(names)}; print(*(m for m in {HEAVY} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
