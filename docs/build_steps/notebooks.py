"""The notebooks, from jupytext's percent format to what Sphinx renders."""

from pathlib import Path

import jupytext

from build_steps.files import write_if_changed


def write(sources: Path, folder: Path) -> None:
    """Convert every notebook, and forget those that are no longer there."""
    wanted = {source.stem: source for source in sorted(sources.glob("*.py"))}
    for old in folder.glob("*.ipynb"):
        if old.stem not in wanted:
            old.unlink()
    for name, source in wanted.items():
        notebook = jupytext.read(source)
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"  # else drawn at random, and new with every build
        write_if_changed(folder / f"{name}.ipynb", jupytext.writes(notebook, fmt="ipynb"))
