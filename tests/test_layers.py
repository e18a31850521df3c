"""The house's walls: imports point down, and a library lives in its room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1] / "audio_cls"
FLOORS = [  # a module may import its own floor and those before it
    {"errors"},
    {"run_warnings", "progress"},
    {"storage"},
    {"config", "demo_data"},
    {"presets"},
    {"data"},
    {"model"},
    {"training"},
    {"evaluation"},
    {"publishing", "serving"},
    {"cli"},
    {"benchmark"},
]
HOMES = {  # library -> where it may be imported
    "accelerate": {"training/accelerator.py"},
    "evaluate": {"evaluation"},
    "transformers": {"model", "benchmark"},
    "huggingface_hub": {"publishing", "data", "model/fetch.py"},
    "jinja2": {"publishing", "data"},
    "click": {"cli"},
    "soundfile": {"data", "benchmark"},
    "soxr": {"data", "benchmark"},
    "gradio": {"serving"},
    "peft": {"model"},
}


def _iterate_imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield (module, is_at_import_time) for every import; those for type checkers are left out."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    at_top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in at_top


def _floor_of(module: str) -> int | None:
    """Return the number of a module's floor; None for the package itself."""
    name = module.split(".")[1] if "." in module else None
    return next((number for number, names in enumerate(FLOORS) if name in names), None)


def test_imports_point_down_only() -> None:
    checked = 0
    for path in sorted(ROOT.rglob("*.py")):
        own = "audio_cls." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        floor = _floor_of(own)
        for module, _ in _iterate_imports(path):
            target = _floor_of(module) if module.startswith("audio_cls.") else None
            if floor is not None and target is not None:
                assert target <= floor, f"{own} imports {module}, which lies above it"
                checked += 1
    assert checked > 100


def test_every_library_has_one_home() -> None:
    seen = set()
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        for module, _ in _iterate_imports(path):
            library = module.split(".")[0]
            if library in HOMES:
                seen.add(library)
                homes = HOMES[library]
                assert any(place.startswith(home) for home in homes), f"{place} imports {library}"
    assert {"accelerate", "evaluate", "transformers", "huggingface_hub", "click"} <= seen


def test_what_the_command_line_needs_for_help_is_light() -> None:
    heavy = {"torch", "transformers", "datasets", "accelerate", "evaluate", "sklearn", "numpy"}
    light = [ROOT / "__init__.py", *ROOT.glob("config/*.py"), ROOT / "errors.py"]
    light += [*(ROOT / "cli").glob("*.py"), *(ROOT / "presets").glob("*.py")]
    assert len(light) >= 6
    for path in light:
        for module, at_top in _iterate_imports(path):
            room = ".".join(module.split(".")[:2])
            is_room = room.startswith("audio_cls.") and _floor_of(room) not in (0, 1, 3, 4, 10)
            assert not (at_top and (module.split(".")[0] in heavy or is_room)), f"{path}: {module}"
