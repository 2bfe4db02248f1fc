"""Files that are written only where they change, so that Sphinx reads only what is new."""

from pathlib import Path


def write_if_changed(path: Path, text: str) -> None:
    """Write a text file, and its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
