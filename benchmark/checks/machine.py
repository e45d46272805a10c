"""Packages, cores, memory, and the device that runs are trained on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import benchmark
from benchmark.checks import Finding, Setup, ok, problem
from benchmark.support.errors import UserError
from benchmark.training.devices import cores, free_memory, nvidia_smi, threads

_ROOT = Path(benchmark.__file__).parents[1]
_GIB = 1 << 30
_LITTLE_MEMORY = 2 * _GIB  # TensorFlow alone takes 0.7 GB
_PROBE_SECONDS = 120.0
_PROBE = """
import sys
from benchmark.cli import run_command

def probe(arguments):
    from benchmark.training.devices import set_up_device
    device = set_up_device(arguments[0])
    import keras
    print("\\n" + keras.config.floatx() + "\\n" + device)
    return 0

sys.exit(run_command(probe))
"""


def packages(setup: Setup) -> Iterator[Finding]:
    """Compare Python and installed packages with what this project requires."""
    python, needed = _requirements()
    here = platform.python_version()
    if here not in SpecifierSet(python, prereleases=True):
        yield problem(f"Python {here}, but Textbench needs {python}", "python3.11 -m venv .venv")
    for requirement in needed:
        found = _version(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            state = "is not installed" if found is None else f"{found} is installed"
            tested = "-c constraints.txt " * (_ROOT / "constraints.txt").is_file()
            yield problem(
                f"{requirement.name} {state}, but Textbench needs {requirement}",
                f"pip install {tested}'{requirement.name}{requirement.specifier}'",
            )
    main = ("tensorflow", "keras", "mlflow", "optuna")
    yield ok(f"Python {here}, " + ", ".join(f"{name} {_version(name)}" for name in main))


def _requirements() -> tuple[str, list[Requirement]]:
    """Return the range of Python, and the packages needed: of the checkout, or as they were installed."""
    file = _ROOT / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        return project["requires-python"], [Requirement(line) for line in project["dependencies"]]
    needed = [Requirement(line) for line in requires("textbench") or ()]
    return str(metadata("textbench")["Requires-Python"]), [item for item in needed if item.marker is None]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def processors(setup: Setup) -> Iterator[Finding]:
    """Count the cores as training does."""
    yield ok(f"{threads()} of {cores()} cores train a network")


def memory(setup: Setup) -> Iterator[Finding]:
    """Measure the memory that is free, and that a container leaves."""
    free = free_memory()
    message = f"{free / _GIB:.1f} GiB of memory are free"
    if free < _LITTLE_MEMORY:
        fix = "end other programs, or use fewer `workers`"
        yield Finding("note", f"only {message}; TensorFlow alone takes 0.7", fix)
    else:
        yield ok(message)


def device(setup: Setup) -> Iterator[Finding]:
    """Set up the device in a separate process, as a run does: TensorFlow may hang, crash, or take a GPU."""
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        yield problem(
            f"KERAS_BACKEND={backend}, but models are trained by Keras on TensorFlow", "unset KERAS_BACKEND"
        )
        return
    floatx, name = probe(setup.device)
    if floatx != "float32":
        yield problem(
            f"the floatx of Keras (keras.json in KERAS_HOME or ~/.keras) is {floatx}, so results differ from "
            "those of other machines",
            'set "floatx": "float32" there, and choose the precision with `precision`',
        )
    gpus = "; ".join(nvidia_smi("--query-gpu=name", "--format=csv,noheader"))
    if name == "cpu" and setup.device == "auto" and gpus:
        hidden = "CUDA_VISIBLE_DEVICES" in os.environ
        yield Finding(
            "note",
            f"{gpus} is here, but TensorFlow does not see it; runs are trained by the cores",
            "unset CUDA_VISIBLE_DEVICES" if hidden else "pip install 'textbench[gpu]', or update the driver",
        )
    else:
        yield ok(f"runs are trained on: {name}")


def probe(device: str, seconds: float = _PROBE_SECONDS) -> list[str]:
    """Import TensorFlow and Keras and set up a device, in another process.

    Returns
    -------
    list of str
        Keras's ``floatx``, and the name of the device.

    Raises
    ------
    UserError
        Where that fails, or takes longer than so many seconds.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, device], capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        reason = f"no answer after {seconds:.0f} s"
    else:
        if done.returncode == 0:
            return done.stdout.splitlines()[-2:]
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]
        if last.startswith("error: "):
            raise UserError(last.removeprefix("error: "))
        reason = last
    raise UserError(
        f"TensorFlow and Keras cannot be imported: {reason}; "
        "pip install --force-reinstall -c constraints.txt tensorflow keras"
    )
