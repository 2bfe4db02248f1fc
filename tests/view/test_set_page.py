"""The page as text: whole, the same every time, and safe whatever stands in the crystals."""

import html
import json
import re

import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.cif import to_cif
from jaxcrys.view.set_page import set_page
from tests.view.sets import HOSTILE, prototypes, write_set

CRYSTALS = list(prototypes().values())


def data_of(text):
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All prototypes, with a table that holds what no table should."""
    rows = [
        {"id": f"{index:05d}", "seed": "7", "e_hull": f"{index / 10}", "note": "plain"}
        for index in range(len(CRYSTALS))
    ]
    rows[2] |= {"note": HOSTILE, "e_hull": "nan"}
    rows[3]["id"] = HOSTILE
    rows[4]["formula"] = HOSTILE
    return write_set(tmp_path_factory.mktemp("view") / "<b>set", CRYSTALS, rows)


@pytest.fixture(scope="module")
def text(folder):
    return set_page(folder, workers=1).text


def test_the_same_set_gives_the_same_page(folder, text):
    assert set_page(folder, workers=2).text == text


def test_it_holds_every_crystal(text):
    data = data_of(text)
    names = [column["name"] for column in data["columns"]]
    assert names[:4] == ["id", "formula", "group", "atoms"]
    assert [row[2] for row in data["rows"]] == [int(each.group) for each in CRYSTALS]
    for crystal, card in zip(CRYSTALS, data["cards"], strict=True):
        assert card["cif"] == to_cif(crystal, name=card["name"])
        assert len(card["powder"]["two_theta"]) == len(card["powder"]["hkl"]) > 1
    assert data["elements"]["O"] == {"colour": "#ff0d0d", "radius": 0.6}
    assert data["symbols"]["62"] == "Pnma"
    assert "The same for all: seed 7." in text


def test_hostile_text_is_data_only(text):
    data = data_of(text)
    assert data["rows"][3][0] == HOSTILE
    assert sum(HOSTILE in map(str, row) for row in data["rows"]) == 3
    assert HOSTILE not in text
    assert "document.title=" not in re.sub(r'id="data">.*?</script>', "", text)
    assert "<b>set" not in text
    assert html.escape("<b>set") in text
    assert len(re.findall(r"<script\b", text.split("</head>")[1].split("plotly.js v")[0])) == 2


def test_nothing_is_asked_of_a_network(text):
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)[1]
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|unsafe-eval|\*", policy)
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"https?://|@import|url\(|<link|\bsrc=", outside.split('id="data"')[0])


def test_crystals_without_a_cell_and_those_left_out_are_told(tmp_path):
    broken = prototypes()["rutile"]
    broken.lattice[:] = float("nan")
    rows = [{"id": str(index), "status": status} for index, status in enumerate("abc")]
    folder = write_set(tmp_path / "set", [broken, *CRYSTALS[:2]], rows)
    made = set_page(folder, limit=2)
    assert made.counted == "2 crystals; 1 more is left out"
    assert "2 crystals; 1 more is left out (more with jaxcrys view --limit)." in made.text
    data = data_of(made.text)
    assert "lattice" in data["cards"][0]["reason"]
    assert data["rows"][0][:4] == ["0", None, 136, None]


def test_records_that_are_no_crystals_are_told(tmp_path):
    (tmp_path / "cifs").mkdir()
    (tmp_path / "cifs" / "a.cif").write_text(to_cif(CRYSTALS[0]), encoding="utf-8")
    (tmp_path / "cifs" / "<i>.cif").write_text("this is no CIF", encoding="utf-8")
    made = set_page(tmp_path / "cifs")
    assert made.counted == "1 crystal"
    assert "1 record is no crystal and left out" in made.text
    assert "&lt;i&gt;.cif: " in made.text
    assert "Symmetry found by spglib at 0.1 Å." in made.text


def test_an_element_without_scattering_coefficients_has_no_pattern(tmp_path):
    from jaxcrys.crystal import build_crystal

    oganesson = build_crystal(225, [(118, "a")], (8, 8, 8, 90, 90, 90))
    data = data_of(set_page(write_set(tmp_path / "set", [oganesson])).text)
    assert data["cards"][0]["powder"] == {"missing": "no scattering coefficients of Og are known"}
    assert data["elements"]["Og"]["colour"].startswith("#")


def test_nothing_is_no_page(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        set_page(tmp_path / "nowhere")
