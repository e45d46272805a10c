"""What a model is, read from its source without importing it (or TensorFlow)."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.models import MODELS
from benchmark.spec.config import Scalar
from benchmark.support.errors import UserError, file_errors
from benchmark.support.registry import is_file_target, label_of, load_target, split_target
from benchmark.support.source_files import Source, keep, parse_python, read_source


@dataclass(frozen=True)
class Description:
    """A model as its source file describes it.

    Attributes
    ----------
    name : str
        The name users type: registered, or ``path/to/file.py:build``.
    label : str
        A short name that is safe in file names and tables.
    file : Path
        The source file.
    summary : str
        First line of the file's docstring.
    source : str
        Where the architecture comes from, if the docstring says so.
    parameters : dict
        The builder's hyper-parameters with their defaults.
    open_ended : bool
        Whether the builder takes any keyword (``**kwargs``).
    input : {"ids", "texts", "strings"}
        What the model reads, from the module's ``INPUT``: word ids, raw texts as a Python list (a
        scikit-learn pipeline), or raw texts as a string tensor (a network).
    resources : dict of str to str
        From the module's ``RESOURCES``: hyper-parameters that name a file, folder or URL, each with the
        function, ``package.module:name``, that finds it and returns a `benchmark.spec.config.Resource`.
    ignores_padding : bool or str
        From the module's ``IGNORES_PADDING``: whether answers do not depend on padding, or the name of the
        hyper-parameter that says so.
    deterministic : bool
        From the module's ``DETERMINISTIC``: whether another seed gives the same model of the same texts.
    choices : dict of str to tuple
        From the module's ``CHOICES``: the values that hyper-parameters can have, where these are few.
    digest : str
        Of the file's content and that of the files beside it that it imports, for models from outside the
        package; "" for built-in ones.
    prepare : str
        From the module's ``PREPARE``: the function, ``package.module:name``, that computes what all runs read
        before they start; "" for none.
    check : str
        From the module's ``CHECK``: the function, ``package.module:name``, that gets the values that each
        hyper-parameter may have in a sweep, as sets, and raises `UserError` where they do not go together; ""
        for none.
    code : Source or None
        Those files as they were read, for models that are files.
    """

    name: str
    label: str
    file: Path
    summary: str
    source: str
    parameters: dict[str, Scalar]
    open_ended: bool
    digest: str
    input: str = "ids"
    resources: dict[str, str] = field(default_factory=dict)
    ignores_padding: bool | str = False
    deterministic: bool = False
    choices: dict[str, tuple[Scalar, ...]] = field(default_factory=dict)
    prepare: str = ""
    check: str = ""
    code: Source | None = None


def describe(name: str) -> Description:
    """Describe a registered model, or one in a Python file.

    Raises
    ------
    UserError
        When there is no such model, its file or one that it imports cannot be read, or its builder is not
        found.
    """
    target = name if is_file_target(name) else MODELS.target(name)
    place, attribute = split_target(target)
    file = Path(place) if place.endswith(".py") else _module_file(place, name)
    with file_errors(f"model file {file}"):
        tree = parse_python(file.read_bytes(), f"model file {file}")
    function = next(
        (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == attribute), None
    )
    if function is None:
        load_target(target, "model")  # says what is missing; an object that is not a function has no defaults
    text = ast.get_docstring(tree) or (ast.get_docstring(function) if function else None) or ""
    own = file.is_relative_to(Path(__file__).parent)
    code = None if own else read_source(file, "" if is_file_target(name) else place)
    if code is not None and is_file_target(name):
        keep(code)  # so that runs of this process train what was described
    return Description(
        name=name,
        label=label_of(name),
        file=file,
        summary=text.partition("\n")[0],
        source=_source_of(text),
        parameters=_keywords(function, file) if function else {},
        open_ended=function is None or function.args.kwarg is not None,
        digest=code.digest if code else "",
        input=str(_constant(tree, "INPUT", "ids")),
        resources=dict(_constant(tree, "RESOURCES", {})),
        ignores_padding=_constant(tree, "IGNORES_PADDING", False),
        deterministic=bool(_constant(tree, "DETERMINISTIC", False)),
        choices=dict(_constant(tree, "CHOICES", {})),
        prepare=str(_constant(tree, "PREPARE", "")),
        check=str(_constant(tree, "CHECK", "")),
        code=code if is_file_target(name) else None,
    )


def _module_file(module: str, name: str) -> Path:
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        raise UserError(f"model '{name}' is registered as {module}, which cannot be found")
    return Path(spec.origin)


def _keywords(function: ast.FunctionDef, file: Path) -> dict[str, Scalar]:
    """Return the parameters behind the first (the task) that have a default; None where it is required."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :]
    pairs: list[tuple[ast.arg, ast.expr | None]] = [
        *zip(with_default, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    by_position = {*positional[:1], *arguments.posonlyargs}
    return {
        argument.arg: None if default is None else _plain(argument.arg, default, file)
        for argument, default in pairs
        if argument not in by_position
    }


def _plain(name: str, default: ast.expr, file: Path) -> Scalar:
    try:
        value = ast.literal_eval(default)
    except (ValueError, TypeError):
        value = ...
    if not isinstance(value, Scalar):
        raise UserError(
            f"model file {file}, line {default.lineno}: the default of '{name}' is "
            f"{ast.unparse(default)}; expected a plain value (number, text, true, false or None)"
        )
    return value


def _constant(tree: ast.Module, wanted: str, default: Any) -> Any:
    """Return the literal that a module assigns to a name, or the default."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(name, "id", "") == wanted for name in node.targets):
            return ast.literal_eval(node.value)
    return default


def _source_of(text: str) -> str:
    _, found, rest = text.partition("Source:")
    return " ".join(rest.partition("\n\n")[0].split()) if found else ""
