"""Import rules: layers, the home of each library, and limits of folders and files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1] / "audio_cls"
# A module may import its own line and the lines above it. The longest matching prefix counts.
LAYERS = [
    [
        "__init__",
        "errors",
        "exit_codes",
        "run_warnings",
        "progress",
        "events",
        "interrupts",
        "text_table",
        "command_names",
        "versions",
    ],
    ["config", "demo_data"],
    ["runs/resolved"],
    ["presets"],
    ["storage"],
    ["distributed"],
    ["audio"],
    ["audio/augmentation"],
    ["runs/json_record", "runs/records", "runs/results", "runs/run_files"],
    ["data/sources/dataset_tables"],
    ["data/sources/naming_schemes", "data/sources/split_names", "data/sources/hub_info"],
    ["data/sources/columns"],
    ["data/sources/tables", "data/sources/parquet"],
    ["data/sources"],
    ["data/labels", "data/loaded_dataset"],
    ["data/splits/train_test_split", "data/splits/iterative_stratification"],
    ["data/keyword_spotting"],
    ["data/splits"],
    ["data/clips"],
    ["data/duplicates"],
    ["data/loading"],
    ["data/streaming"],
    ["data"],
    ["data/inspection"],
    ["models/kernels", "models/pooling"],
    ["models"],
    ["models/finetuning"],
    ["models/feature_cache"],
    ["inference", "serving"],
    ["training/optim"],
    ["evaluation/metrics"],
    ["evaluation/reports"],
    ["linear_probe/regression"],
    ["evaluation/baseline"],
    ["runs"],
    ["evaluation"],
    ["linear_probe"],
    ["training"],
    ["publishing/run_record", "publishing/metric_names", "publishing/split_description"],
    ["publishing/redaction"],
    ["publishing"],
    ["publishing/card"],
    ["publishing/hub"],
    ["publishing/leaderboard"],
    ["export"],
    ["demo"],
    ["workflows"],
    ["api"],
    ["benchmark"],
    ["cli/streams"],
    ["cli/console"],
    ["cli/options"],
    ["cli"],
    ["__main__"],
]
HOMES = {  # library -> where it may be imported
    "accelerate": ["distributed"],
    "evaluate": ["evaluation"],
    "transformers": ["models", "benchmark", "inference/onnx"],
    "huggingface_hub": [
        "publishing",
        "data/sources",
        "models/contamination",
        "models/checkpoint_files",
    ],
    "jinja2": ["publishing/card", "data/inspection"],
    "click": ["cli"],
    "gradio": ["demo"],
    "sounddevice": ["inference/microphone"],
    "soundfile": ["audio", "benchmark", "data/clips/decode_key"],
    "soxr": ["audio", "benchmark", "data/clips/decode_key"],
    "onnx": ["export"],
    "onnxruntime": ["export", "inference/onnx"],
    "peft": ["models/finetuning/lora"],
}
MAX_LINES = 300
MAX_MODULES = 12  # of a folder, without __init__.py


def _name(path: Path) -> str:
    """Return a module's place below the package, without its suffix."""
    return path.relative_to(ROOT).with_suffix("").as_posix()


@cache
def _list_imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Return (module, is_at_import_time) for every import; those for type checkers are left out."""
    return tuple(_iterate_imports(path))


def _iterate_imports(path: Path) -> Iterator[tuple[str, bool]]:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    at_top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                path_of = ROOT.parent / full.replace(".", "/")
                is_module = path_of.with_suffix(".py").is_file()
                yield full if is_module else node.module, id(node) in at_top


def _find_layer(name: str) -> int:
    """Return the number of the layer of a module such as `data/splits/kfold`."""
    fits = [
        (len(prefix), number)
        for number, prefixes in enumerate(LAYERS)
        for prefix in prefixes
        if name == prefix or name.startswith(f"{prefix}/")
    ]
    assert fits, f"{name} is in no layer"
    return max(fits)[1]


def _to_place(module: str) -> str:
    """Return `data/splits/kfold` for `audio_cls.data.splits.kfold`."""
    return module.removeprefix("audio_cls").lstrip(".").replace(".", "/") or "__init__"


def test_imports_point_to_the_same_layer_or_a_lower_one() -> None:
    upward = set()
    for path in sorted(ROOT.rglob("*.py")):
        for module, _ in _list_imports(path):
            if module.split(".")[0] == "audio_cls":
                own, other = _name(path), _to_place(module)
                if _find_layer(other) > _find_layer(own):
                    upward.add((own, other))
    assert not upward


def test_the_table_of_contributing_has_the_same_order() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text("utf-8")
    table = text.split("## Layers")[1].split("\n## ")[0]
    numbers = {name: number for number, names in enumerate(LAYERS) for name in names}
    rows = [
        [name.rstrip("/") for name in re.findall("`(.+?)`", row)]
        for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    ]
    for above, below in pairwise(rows):
        last, first = max(numbers[name] for name in above), min(numbers[name] for name in below)
        assert last < first, f"{above} and {below}"
    listed = {name.split("/")[0] for names in rows for name in names}
    parts = {_name(path).split("/")[0] for path in ROOT.rglob("*.py")}
    assert parts - listed == {"__init__", "__main__", "api", "serving"}


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = {
        _name(path): {
            place
            for module, at_top in _list_imports(path)
            if at_top and module.startswith("audio_cls.")
            for place in [_to_place(module)]
        }
        for path in ROOT.rglob("*.py")
    }
    done: set[str] = set()

    def visit(name: str, chain: tuple[str, ...]) -> None:
        assert name not in chain, " -> ".join((*chain, name))
        if name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, (*chain, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())
    assert len(done) > 150


def test_every_library_has_one_home() -> None:
    seen = set()
    for path in sorted(ROOT.rglob("*.py")):
        for module, _ in _list_imports(path):
            library = module.split(".")[0]
            if library in HOMES:
                seen.add(library)
                homes = HOMES[library]
                assert any(_name(path).startswith(home) for home in homes), f"{path}: {library}"
    assert seen == set(HOMES)


def test_folders_and_files_are_small() -> None:
    for folder in [ROOT, *(path for path in ROOT.rglob("*") if path.is_dir())]:
        modules = [path for path in folder.glob("*.py") if path.stem != "__init__"]
        assert len(modules) <= MAX_MODULES, f"{folder}: {len(modules)} modules"
        for path in modules:
            lines = path.read_text("utf-8").count("\n")
            assert lines <= MAX_LINES, f"{path}: {lines} lines"


def test_help_of_every_command_needs_no_heavy_import() -> None:
    heavy = {"torch", "transformers", "datasets", "accelerate", "evaluate", "sklearn", "numpy"}
    light = (
        "__init__", "errors", "run_warnings", "progress", "versions", "config", "demo_data",
        "presets",
    )  # fmt: skip
    light += (
        "exit_codes",
        "interrupts",
        "command_names",
        "text_table",
        "runs/resolved",
        "runs",
        "training/optim/lr_schedule",
        "cli",
        "benchmark/cases",
    )  # and storage, which imports the heavy ones when called

    def is_light(place: str, names: tuple[str, ...]) -> bool:
        if place in ("runs/provenance", "runs/resolve_run"):  # called when torch is there
            return False
        return any(place == name or place.startswith(f"{name}/") for name in names)

    paths = [path for path in sorted(ROOT.rglob("*.py")) if is_light(_name(path), light)]
    assert len(paths) > 20
    for path in paths:
        for module, at_top in _list_imports(path):
            package = module.split(".")[0]
            is_own = package == "audio_cls" and not is_light(_to_place(module), (*light, "storage"))
            assert not (at_top and (package in heavy or is_own)), f"{path}: {module}"


def _reach_libraries(*names: str) -> set[str]:
    """Return the libraries that importing some modules imports, directly and through others."""
    libraries, waiting, seen = set(), list(names), set[str]()
    while waiting:
        name = waiting.pop()
        path = (ROOT / name).with_suffix(".py")
        if name in seen:
            continue
        seen.add(name)
        folders = [folder.as_posix() for folder in Path(name).parents if folder.name]
        waiting += [f"{folder}/__init__" for folder in folders]
        for module, at_top in _list_imports(
            path if path.is_file() else ROOT / name / "__init__.py"
        ):
            if at_top and module.split(".")[0] == "audio_cls":
                waiting.append(_to_place(module))
            elif at_top:
                libraries.add(module.split(".")[0])
    return libraries


def test_a_command_imports_at_its_start_only_the_libraries_that_it_uses() -> None:
    predict = _reach_libraries("workflows/prediction/predict", "inference/classifier")
    assert {"torch", "transformers", "numpy"} <= predict  # the search finds what is imported
    unused = {"datasets", "pyarrow", "pandas", "sklearn", "accelerate", "evaluate", "matplotlib"}
    assert not predict & unused
    train = _reach_libraries("workflows/train")
    assert {"torch", "transformers", "accelerate", "datasets", "sklearn"} <= train
    # `evaluate` imports all pipelines of transformers, and only a module of --metric needs it.
    assert not train & {"evaluate", "matplotlib", "peft", "gradio", "onnxruntime"}
