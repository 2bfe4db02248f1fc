"""What the pages of the documentation show is true: commands parse, Python runs, links resolve."""

import functools
import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jaxcrys.cli.commands import COMMANDS
from jaxcrys.cli.console import split_arguments
from jaxcrys.cli.main import overview, parse

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = ("_build", "_notebooks", "generated")
WRITTEN = [path for path in sorted(DOCS.rglob("*.md")) if not set(path.parts) & set(GENERATED)]
PAGES = [ROOT / "README.md", *WRITTEN]
RUN = [path for path in PAGES if path.parent.name in ("how_to", "theory")]
WITH_PYTHON = [path for path in RUN if "```python" in path.read_text(encoding="utf-8")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


class Block(NamedTuple):
    """A block of code: its language, text, line, and the comment before it that exempts it."""

    language: str
    text: str
    line: int
    exempt: str


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found = re.finditer(
        r"(?:<!-- not (?:run|parsed): (?P<why>.+?) -->\n)?"
        r"^```(?P<language>\w+)\n(?P<code>.*?)^```$",
        text,
        re.MULTILINE | re.DOTALL,
    )
    return [
        Block(m["language"], m["code"], text[: m.start("code")].count("\n"), m["why"] or "")
        for m in found
    ]


@pytest.fixture(scope="module")
def build_step():
    """Imports a script of the build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield lambda name: importlib.import_module(f"build_steps.{name}")


@pytest.fixture(scope="module")
def help_text(build_step):
    return functools.cache(build_step("command_line").help_text)


# Commands.


def commands(path: Path) -> Iterator[list[str]]:
    """Words of each command of jaxcrys in the blocks of shell of a page."""
    for block in blocks(path):
        if block.language == "bash" and not block.exempt:
            for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
                for part in re.split(r"&&|\||;(?=\s)", line):
                    yield from _own(part)


def mentions(path: Path) -> Iterator[list[str]]:
    """Words of each command, or part of one, between backquotes."""
    for text in re.findall(r"`(jaxcrys [^`]+)`", prose(path)):
        if text.split()[1] in COMMANDS:
            yield from _own(text.replace("…", ""))


def prose(path: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def _own(line: str) -> Iterator[list[str]]:
    words = shlex.split(re.sub(r"\$\w+", "1", line), comments=True)
    if words[:1] == ["srun"]:
        words = words[1:]
    if words[:1] == ["jaxcrys"]:
        yield words[1:]


def check(words: list[str]) -> None:
    """Parse a command without running it.

    Raises:
        SystemExit: if an option does not exist, or is missing.
    """
    module = importlib.import_module(f"jaxcrys.cli.{words[0]}")
    _, rest = split_arguments(words[1:])
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(module, "defaults"):  # files of options that a page names need not be here
            patch.setattr(module, "defaults", functools.partial(module.defaults, []))
            patch.setattr(module, "defaults", lambda _, own=module.defaults: own())
        parse(words[0], module, rest)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_commands_parse(path):
    for words in commands(path):
        assert words, "jaxcrys alone"
        if words[0].startswith("--"):
            continue
        assert words[0] in COMMANDS, words
        try:
            check(words)
        except SystemExit as ended:
            pytest.fail(f"jaxcrys {shlex.join(words)}: {ended}")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_options_that_are_mentioned_exist(path, help_text):
    for command, *words in mentions(path):
        second = words[:1] if command == "data" else []
        known = help_text(command, *second)
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert re.search(rf"{option}\b", known), f"jaxcrys {command} has no {option}"


def test_the_check_of_commands_finds_what_is_wrong(capsys):
    check(["relax", "crystals", "--out", "relaxed"])
    for wrong in (["relax", "crystals"], ["relax", "crystals", "--out", "x", "--no-such", "1"]):
        with pytest.raises(SystemExit):
            check(wrong)
    assert any(words[0] == "train" for path in PAGES for words in commands(path))


# Python.


@pytest.mark.parametrize("path", WITH_PYTHON, ids=name)
def test_python_runs_and_prints_what_stands_beside_it(path):
    """The blocks of a page, one after the other, in one namespace."""
    variables: dict[str, object] = {"__name__": "page"}
    for block in blocks(path):
        if block.language != "python" or block.exempt:
            continue
        lines = block.text.splitlines()

        def printed(*values: object, lines: list[str] = lines) -> None:
            shown = lines[sys._getframe(1).f_lineno - 1].partition("  # ")[2]
            text = " ".join(map(str, values))
            assert not shown or shown.startswith(text), f"prints {text}, the page says {shown}"

        variables["print"] = printed
        exec(compile(block.text, f"{name(path)}:{block.line}", "exec"), variables)


# Links.


def targets(path: Path) -> Iterator[str]:
    """What a page links to within the documentation, and lists in its tables of contents."""
    text = path.read_text(encoding="utf-8")
    for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, re.M | re.S):
        yield from (line for line in tree.splitlines() if line and not line.startswith(":"))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if not re.match(r"[a-z]+:", link):
            yield link
    yield from re.findall(r"^```\{literalinclude\} (\S+)$", text, re.M)


def generated() -> set[Path]:
    """Pages that the build writes."""
    packages = [path.parent for path in (ROOT / "jaxcrys").rglob("__init__.py")]
    named = {".".join(path.relative_to(ROOT / "jaxcrys").parts) for path in packages} - {"", "cli"}
    return {DOCS / "reference" / "generated" / f"{page}.md" for page in ("command_line", *named)}


def headings(path: Path) -> set[str]:
    """The anchors of a page, as myst makes them."""
    lines = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_resolve(path):
    for target in targets(path):
        page, _, anchor = target.partition("#")
        found = (path.parent / page).resolve() if page else path
        whole = found.suffix == ".md" or (found.exists() and not path.is_relative_to(DOCS))
        if not whole and found.suffix not in (".py", ".yaml"):
            found = found.with_name(f"{found.name}.md")  # Sphinx knows pages without their ending
        if "*" in page or found in generated():
            continue
        assert found.exists(), f"{name(path)}: {target}"
        assert not anchor or anchor in headings(found), f"{name(path)}: {target}"


# The whole.


def test_every_command_is_shown_somewhere():
    shown = {words[0] for path in PAGES for words in (*commands(path), *mentions(path))}
    assert set(COMMANDS) - {"demo", "completion"} <= shown


def test_the_page_of_the_command_line_has_every_command(build_step, tmp_path):
    build_step("command_line").write(tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert overview() in page
    for command in COMMANDS:
        assert f"## {command}\n" in page
        assert f"usage: jaxcrys {command}" in page
    assert "--recipe" in page
