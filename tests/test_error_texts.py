"""Texts of errors: every AudioClsError that the package raises says what was given and what to do.

The texts are read from the source. A name or a function of the same module in an expression is
followed to the strings that it can be, and each of them is checked on its own; what only exists
when the program runs (a path, a list of columns, the text of another error) counts as "{}".
AudioError is left out: its `reason` is one of a few phrases for the column of bad_audio.csv, next
to the name of the clip.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_cls import errors
from audio_cls.config.requirements import REQUIREMENTS

ROOT = Path(__file__).parents[1] / "audio_cls"
RUNTIME = "{}"  # a part that is known when the program runs
CLASSES = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.AudioClsError)
} - {"AudioError"}
# What to do: an instruction where a sentence or a clause starts.
INSTRUCTION = re.compile(
    r"(?:^|[.:;,)}] |\bor |\band |\bthen |: )"
    r"(?:add|accept|call|change|check|choose|connect|convert|copy|correct|download|draw|evaluate|"
    r"export|finish|fix|free|give|increase|install|keep|launch|leave|log in|lower|make|map|move|"
    r"name|omit|pip install|point|predict|publish|put|raise|read|remove|repair|repeat|replace|"
    r"restore|resume|return|run|save|set|shorten|start|take|train|try|unset|update|use|wait|write)\b",
    re.IGNORECASE,
)
# What is allowed.
ALLOWED = re.compile(
    r"\bmust \w+|\bhas all of them|\bneeds? |\bit takes |\bit is one of |\bit has |"
    r"\b(?:are|is|has|have|of) \{\}|"
    r"\ballowed|\bpossible\b.*: |\bTimes are "
)
# What was given: a value, an option, or the thing that is missing.
NAMED = re.compile(
    r"\{\}|--[a-z]|^(?:The|This|There|You|An?|Standard input|ONNX models|FSDP 1|overlap and) "
)
# A full stop, a value, an address, or a command to paste.
END = re.compile(r"[.)?]$|\{\}$|: [^.]+$|(?:--|https://)\S+$|--\S+ \S+$")
# Texts that are no whole message, by file, with the reason.
PARTS = {
    "cli/inspect.py": "the text of an error that the scan met",
    "config/run.py": "also the texts of the sections' errors",
    "data/loading/datasets.py": "puts the clip before the text of another error",
    "inference/label_rule.py": "the error of one file, next to its name in a table of predictions",
}


# Functions of other modules that return whole messages.
EXPLAINED = {
    "explain_remote_code": "models/checkpoint_files.py",
    "explain_missing_rights": "publishing/hub/permissions.py",
    "explain_refusal": "publishing/hub/permissions.py",
    "describe_excess": "data/clips/quality.py",
    "find_errors": "config/base.py",
}
MAX_DEPTH = 6  # of names and functions


class Texts:
    """The strings that an expression of one module can be."""

    def __init__(self, tree: ast.Module) -> None:
        """Index the functions of the module and the function around each node."""
        self.tree = tree
        self.open: set[tuple[int, str]] = set()  # names that are being followed
        self.functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        self.parents = {
            id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }

    def resolve(self, node: ast.expr | None, depth: int = 0) -> list[str]:
        """Return every text that `node` can be."""
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        if isinstance(node, ast.Name) and depth < MAX_DEPTH:
            return self._resolve_name(node, depth)
        if isinstance(node, ast.Call) and depth < MAX_DEPTH:
            return self._resolve_call(node, depth)
        parts = [self.resolve(part, depth) for part in list_parts(node)]
        if parts and isinstance(node, ast.JoinedStr | ast.BinOp):
            return ["".join(choice) for choice in itertools.product(*parts)]
        is_known = parts or isinstance(node, ast.List)  # faults = []
        return [text for part in parts for text in part] if is_known else [RUNTIME]

    def _resolve_name(self, node: ast.Name, depth: int) -> list[str]:
        scope: ast.AST = node
        while not isinstance(scope, ast.FunctionDef | ast.Module):
            scope = self.parents[id(scope)]
        variable = (id(scope), node.id)
        if variable in self.open:  # text = f"{text} ..."
            return []
        self.open.add(variable)
        values = [*iterate_values(scope, node.id), *iterate_constants(self.tree, node.id)]
        found = [text for value in values for text in self.resolve(value, depth + 1)]
        found += [
            text
            for rows in iterate_loops(scope, node.id)
            for text in self.resolve(rows, depth + 1)
            if " " in text  # the rows of a table also have its conditions
        ]
        self.open.remove(variable)
        return found or [RUNTIME]

    def _resolve_call(self, node: ast.Call, depth: int) -> list[str]:
        name = read_name(node)
        if name == "join" or name in CLASSES:
            return self.resolve(node.args[0], depth + 1)
        is_plain = isinstance(node.func, ast.Name)
        if name in self.functions and (is_plain or ast.unparse(node.func).startswith("self.")):
            texts = self
        elif is_plain and name in EXPLAINED:
            texts = Texts(ast.parse((ROOT / EXPLAINED[name]).read_text("utf-8")))
        else:
            return [RUNTIME]
        function = texts.functions[name]
        returned = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value]
        found = [text for value in returned for text in texts.resolve(value, depth + 1)]
        return [text for text in found if text not in ("None", "")]


def read_name(call: ast.Call) -> str:
    """Return the name of what is called, without the object or module before it."""
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def list_parts(node: ast.expr | None) -> list[ast.expr]:
    """Return what an expression is made of: one of its parts, or for JoinedStr and BinOp all."""
    match node:
        case ast.JoinedStr(values) | ast.BoolOp(values=values):
            return values
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [left, right]
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case ast.List(elts) | ast.Tuple(elts):
            return elts
        case ast.FormattedValue(value) | ast.Starred(value) | ast.Subscript(value):
            return [value]
        case ast.ListComp(elt) | ast.GeneratorExp(elt):
            return [elt]
    return []


def iterate_values(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    """Yield what is assigned or added to `name` in a function."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value and any(isinstance(t, ast.Name) and t.id == name for t in targets):
                yield node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            is_same = isinstance(owner, ast.Name) and owner.id == name
            if is_same and node.func.attr in ("append", "extend"):
                yield node.args[0]


def iterate_loops(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    """Yield what a loop or comprehension of a function goes through with the variable `name`."""
    for node in ast.walk(scope):
        if isinstance(node, ast.For | ast.comprehension) and any(
            isinstance(part, ast.Name) and part.id == name for part in ast.walk(node.target)
        ):
            yield node.iter


def iterate_constants(tree: ast.Module, name: str) -> Iterator[ast.expr]:
    """Yield what is assigned to `name` outside of functions."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(ast.unparse(t) == name for t in node.targets):
            yield node.value


def iterate_errors() -> Iterator[tuple[tuple[str, int], str]]:
    """Yield ((file, line), text) of every text that an error of the package can have."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        texts = Texts(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and read_name(node) in CLASSES:
                for text in dict.fromkeys(texts.resolve(node.args[0])):
                    yield (path.relative_to(ROOT).as_posix(), node.lineno), text


def find_faults(text: str) -> list[str]:
    """Return what an error's text lacks."""
    checks = {
        "what was given": NAMED.search(text),
        "what is allowed or what to do": INSTRUCTION.search(text) or ALLOWED.search(text),
        "a full stop, or a command at the end": END.search(text),
        "another word than invalid": "invalid" not in text.lower(),
    }
    return [name for name, is_there in checks.items() if not is_there]


def test_every_error_says_what_was_given_and_what_to_do() -> None:
    found = list(iterate_errors())
    assert len({place for place, _ in found}) > 380
    faults = [
        f"{place}:{line}: {text!r} lacks {lacks}"
        for (place, line), text in found
        if place not in PARTS and (lacks := find_faults(text))
    ]
    assert not faults, "\n" + "\n".join(faults)
    assert {place for (place, _), _ in found} >= set(PARTS)


def test_every_advice_on_a_setting_without_effect_says_what_to_do() -> None:
    assert not [one for one in REQUIREMENTS if not INSTRUCTION.search(f": {one.advice}")]


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("'{}' is not a table. Give a CSV file.", 0),
        ("'{}' is not a table.", 1),
        ("Invalid value.", 3),
        ("--overlap {} is too large: give at most {}", 0),
        ("no column", 3),
    ],
)
def test_a_text_without_a_part_is_found(text: str, lacks: int) -> None:
    assert len(find_faults(text)) == lacks
