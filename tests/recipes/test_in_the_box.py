"""The model that comes with the package: small, described, and used where no other is named."""

import csv
import subprocess
import sys

import numpy as np
import pytest

from jaxcrys.crystal import load_crystals
from jaxcrys.recipes.library import IN_THE_BOX, MODELS, is_model, load_model, names
from jaxcrys.recipes.release import read_card

MOST_MEGABYTES = 15


def test_models_are_small_and_have_cards():
    assert IN_THE_BOX in names()
    for name in names():
        file, card = MODELS / f"{name}.npz", MODELS / f"{name}.md"
        assert file.stat().st_size < 1e6 * MOST_MEGABYTES
        text = card.read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        for part in ("## Data", "## Licence", "## Figures", "## Limits"):
            assert f"\n{part}\n" in text
        assert read_card(file) == text


def test_it_loads_by_name():
    model = load_model(IN_THE_BOX)
    assert model.config.recipe == "orbit"
    assert len(model.templates.group) > 20_000
    assert is_model(IN_THE_BOX)


@pytest.mark.slow
def test_crystals_are_drawn_without_a_run(tmp_path):
    command = [sys.executable, "-m", "jaxcrys", "generate", "--num", "4", "--out", tmp_path / "out"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "space group found as asked at symprec 0.001: 4 of 4" in told
    crystals = load_crystals(tmp_path / "out")
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8") as handle:
        assert [int(row["group"]) for row in csv.DictReader(handle)] == crystals.group.tolist()
    assert np.isfinite(crystals.lattice).all()
