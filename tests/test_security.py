"""Nothing in the package runs what a file holds; calls that could are listed with a reason."""

import ast
from pathlib import Path

import pytest

import jaxcrys

PACKAGE = Path(jaxcrys.__file__).parent

FORBIDDEN_MODULES = {
    *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch"),
    *("runpy", "code", "codeop", "imp", "monty"),
}
"""That load programs or objects from files; monty makes objects of whatever classes JSON names."""

FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "breakpoint"),
    *("os.system", "os.popen", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"),
    *("pandas.read_pickle", "pd.read_pickle", "ase.io.jsonio.decode", "jsonio.decode"),
    *("zipfile.ZipFile.extractall", "shutil.unpack_archive"),
}
FORBIDDEN_METHODS = {"extractall", "read_pickle", "unsafe_load", "load_module", "exec_module"}

NEED_NO_PICKLE = {"load", "NpzFile", "savez", "savez_compressed", "save"}
"""Functions of NumPy that pickle unless ``allow_pickle=False``."""

ALLOWED = {
    ("recipes/base.py", "importlib.import_module"): "modules of a table in the same file",
    ("cli/main.py", "importlib.import_module"): "modules of the table of commands",
    ("cli/completion.py", "importlib.import_module"): "modules of the table of commands",
    ("__init__.py", "importlib.import_module"): "modules of a table in the same file",
    ("potentials/library.py", "importlib.import_module"): "the module that the user names",
}
"""(file, call) -> why it may be there."""


def name_of(node: ast.expr) -> str:
    """The dotted name of what is called."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def findings(source: str) -> list[str]:
    """What a module has that it must not have."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        found += [f"import {name}" for name in names if name.split(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.Call):
            found += _of_call(node)
    return found


def _of_call(node: ast.Call) -> list[str]:
    name = name_of(node.func)
    last = name.split(".")[-1]
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    wrong = name in FORBIDDEN_CALLS or last in FORBIDDEN_METHODS
    if name.startswith(("np.", "numpy.")) and last in NEED_NO_PICKLE:
        wrong |= not _is(given.get("allow_pickle"), False)
    wrong |= not _is(given.get("shell", ast.Constant(False)), False)
    wrong |= "allow_pickle" in given and not _is(given["allow_pickle"], False)
    wrong |= name in ("importlib.import_module", "import_module")
    return [name] if wrong else []


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_no_module_runs_what_a_file_holds():
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in MODULES
        for name in findings(path.read_text(encoding="utf-8"))
    }
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch.serialization",
        "from monty.serialization import loadfn",
        "eval('1')",
        "def f(x): return exec(x)",
        "__import__('os')",
        "import yaml; yaml.load(x, yaml.Loader)",
        "yaml.unsafe_load(x)",
        "np.load(x)",
        "np.load(x, allow_pickle=True)",
        "np.load(x, allow_pickle=flag)",
        "np.lib.npyio.NpzFile(x)",
        "np.savez(x, a=1)",
        "pd.read_pickle(x)",
        "subprocess.run(x, shell=True)",
        "archive.extractall(x)",
        "importlib.import_module(x)",
    ],
)
def test_the_search_finds_what_it_looks_for(source):
    assert findings(source)


@pytest.mark.parametrize(
    "source",
    ["yaml.safe_load(x)", "np.load(x, allow_pickle=False)", "json.loads(x)", "re.compile(x)"],
)
def test_the_search_finds_nothing_else(source):
    assert findings(source) == []
