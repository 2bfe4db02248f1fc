"""The page in a browser: what it shows, what its filters leave, and that texts stay texts."""

import csv
import io
import json
import shutil

import pytest

from jaxcrys.crystal.cif import to_cif
from jaxcrys.view.set_page import set_page
from tests.browser import browser
from tests.view.sets import HOSTILE, prototypes, write_set

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")

PROTOTYPES = prototypes()
NAMES = list(PROTOTYPES)
ENERGIES = ["0.5", "-0.1", "nan", "10", "9", "0.04", "", "1e-3"]
SHOWN = "[...document.querySelectorAll('#crystals tbody tr:not([hidden])')]"
CHOSEN = "document.querySelector('#crystals tr[aria-selected=true] td').textContent"
DRAWN = (
    "document.querySelector('#structure .gl-container canvas')"
    " && document.querySelector('#pattern .bars path')"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page of the prototypes, hostile texts, and a crystal without a cell."""
    broken = prototypes()["rutile"]
    broken.lattice[:] = float("nan")
    rows = [
        {"id": name, "formula": "", "e_hull": energy, "note": "", "constructor": "1"}
        for name, energy in zip(NAMES, ENERGIES, strict=True)
    ]
    rows[0]["note"] = HOSTILE
    rows.append({"id": HOSTILE, "formula": HOSTILE, "e_hull": "", "note": 'a,"b"\n',
                 "constructor": "2"})  # fmt: skip
    folder = tmp_path_factory.mktemp("view")
    write_set(folder / "set", [*PROTOTYPES.values(), broken], rows)
    path = folder / "set.html"
    path.write_text(set_page(folder / "set").text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page():
    with browser() as found:
        yield found


@pytest.fixture
def opened(page, made):
    """The page as it is opened, and a look afterwards at what went wrong."""
    page.problems.clear()
    page.requests.clear()
    page.look(width=1400, height=1000)
    page.open(made)
    yield page
    assert page.problems == []
    assert [
        each for each in page.requests if not each.startswith(("file:", "data:", "about:"))
    ] == []


def shown(page):
    """Ids of the rows, in their order."""
    return page.run(f"{SHOWN}.map((row) => row.cells[0].textContent)")


def fill(page, selector, value):
    page.run(f"""{{
        const input = document.querySelector({json.dumps(selector)});
        input.value = {json.dumps(value)};
        input.dispatchEvent(new Event("input"));
    }}""")


def click(page, selector):
    page.run(f"document.querySelector({json.dumps(selector)}).click()")


def test_it_opens_with_all_crystals_and_the_first_one_drawn(opened):
    opened.wait(DRAWN)
    assert shown(opened) == [*NAMES, HOSTILE]
    assert opened.run(CHOSEN) == "rocksalt"
    assert opened.run("document.getElementById('count').textContent") == "9 shown"
    cells = opened.run(f"{SHOWN}[1].innerHTML")
    assert "TiO<sub>2</sub>" in cells
    assert "136 <" in cells
    assert "P42/mnm" in cells
    legend = opened.run("[...document.querySelectorAll('.legend li')].map((e) => e.textContent)")
    assert legend == ["Na 4", "Cl 4"]


def test_texts_stay_texts(opened):
    """Neither runs what is hostile, nor is it made an element."""
    opened.wait(DRAWN)
    click(opened, "#crystals tbody tr:last-child")
    assert opened.run(CHOSEN) == HOSTILE
    assert opened.run("document.querySelector('h2').textContent").endswith(HOSTILE)
    assert "no cell" in opened.run("document.querySelector('.warning').textContent")
    assert opened.run("document.title") == "set"
    assert opened.run("document.querySelectorAll('img, td script, h2 script').length") == 0


def test_headings_sort(opened):
    """Numbers as numbers, what is missing last in both directions."""
    ordered = sorted(
        (name for name, e in zip(NAMES, ENERGIES, strict=True) if e not in ("", "nan")),
        key=lambda name: float(ENERGIES[NAMES.index(name)]),
    )
    missing = ["wurtzite", "triclinic", HOSTILE]
    heading = "th[data-column=e_hull]"
    click(opened, f"{heading} button")
    assert shown(opened) == ordered + missing
    sort = f"document.querySelector('{heading}').getAttribute('aria-sort')"
    assert opened.run(sort) == "ascending"
    click(opened, f"{heading} button")
    assert shown(opened) == ordered[::-1] + missing
    assert opened.run(sort) == "descending"
    click(opened, "th[data-column=id] button")
    assert opened.run(sort) == "none"
    assert shown(opened) == sorted([*NAMES, HOSTILE])


WORDS = {
    "O": ["rutile", "corundum", "perovskite", "baddeleyite", "triclinic"],
    "Ca O": ["perovskite"],
    "Ca O 62": ["perovskite"],
    "Ca O 225": [],
    "225": ["rocksalt"],
    "Li": [],
    "WURTZ": ["wurtzite"],
    "Fd-3m": ["diamond"],
    "tio2": ["rutile"],
    "<script>": ["rocksalt", HOSTILE],
}


def test_words_filter(opened):
    for words, left in WORDS.items():
        fill(opened, "#filter", words)
        assert shown(opened) == left, words
        count = opened.run("document.getElementById('count').textContent")
        assert count == f"{len(left)} of 9 shown"
        assert opened.run("document.getElementById('none').hidden") == bool(left)
    fill(opened, "#filter", "Ca O 225")
    click(opened, "#clear")
    assert len(shown(opened)) == 9


def test_ranges_filter(opened):
    click(opened, "#ranges-button")
    fill(opened, "[aria-label='largest e_hull']", "0.5")
    assert shown(opened) == ["rocksalt", "rutile", "baddeleyite", "diamond"]
    fill(opened, "[aria-label='smallest e_hull']", "0.001")
    assert shown(opened) == ["rocksalt", "baddeleyite", "diamond"]
    fill(opened, "[aria-label='smallest atoms']", "9")
    assert shown(opened) == ["baddeleyite"]
    assert "max.e_hull=0.5" in opened.run("location.hash")


def test_arrow_keys_choose_what_is_shown(opened):
    fill(opened, "#filter", "O")
    click(opened, "#crystals tbody tr:nth-child(2)")
    opened.press("ArrowDown")
    assert opened.run(CHOSEN) == "corundum"
    opened.press("End")
    assert opened.run(CHOSEN) == "triclinic"
    opened.press("ArrowDown")
    opened.press("ArrowUp")
    assert opened.run(CHOSEN) == "baddeleyite"
    assert opened.run("document.activeElement.cells[0].textContent") == "baddeleyite"
    assert "select=baddeleyite" in opened.run("location.hash")


def test_the_address_holds_what_is_seen(opened, made):
    opened.open(made, "sort=e_hull&desc=1&filter=O&max.e_hull=9&select=corundum&cells=2")
    assert shown(opened) == ["perovskite", "baddeleyite", "rutile"]
    assert opened.run(CHOSEN) == "corundum"
    opened.wait(DRAWN)
    first = opened.run("location.hash")
    opened.open(made, first[1:])
    assert opened.run("location.hash") == first
    assert shown(opened) == ["perovskite", "baddeleyite", "rutile"]
    opened.open(made, "sort=nothing&select=nobody&min.__proto__=3&filter=")
    assert shown(opened) == [*NAMES, HOSTILE]


def test_downloads(opened):
    """The rows that are shown as CSV, and the CIF as it was written."""
    opened.run("""{
        window.saved = [];
        download = (name, type, text) => window.saved.push([name, text]);
    }""")
    click(opened, "th[data-column=e_hull] button")
    fill(opened, "#filter", "<script>")
    click(opened, "#csv")
    click(opened, "#crystals tbody tr:not([hidden])")
    click(opened, "#cif")
    (csv_name, table), (cif_name, cif) = opened.run("window.saved")
    assert (csv_name, cif_name) == ("set.csv", "rocksalt.cif")
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [row["id"] for row in rows] == ["rocksalt", HOSTILE]
    assert (rows[0]["note"], rows[0]["symbol"], rows[0]["e_hull"]) == (HOSTILE, "Fm-3m", "0.5")
    assert rows[1]["note"] == 'a,"b"\n'
    assert cif == to_cif(PROTOTYPES["rocksalt"], name="rocksalt")


def test_positions_lattice_and_pattern_of_a_crystal(opened, made):
    opened.open(made, "select=rutile")
    opened.wait(DRAWN)
    rows = opened.run("""[...document.querySelectorAll('.sites tbody tr')]
        .map((row) => [...row.cells].map((cell) => cell.textContent))""")
    assert rows == [
        ["2a", "m.mm", "Ti", "0", "0", "0"],
        ["4f", "m.2m", "O", "0.30500 x", "0.30500 x", "0"],
    ]
    free = opened.run(
        "[...document.querySelectorAll('.lattice .free dt')].map((e) => e.textContent)"
    )
    assert free == ["a", "c"]
    peaks = opened.run("document.getElementById('pattern').data[0].text")
    assert peaks[0].startswith("(1 1 0) × 4<br>2θ 27.4")
    assert opened.run("document.querySelectorAll('#pattern .bars path').length") == len(peaks)


@pytest.mark.parametrize(("cells", "atoms"), [(1, {"Na": 14, "Cl": 13}), (2, {"Na": 63, "Cl": 62})])
def test_atoms_on_faces_are_repeated(opened, made, cells, atoms):
    """Counted by hand: corners and faces of rocksalt, edges and the middle."""
    opened.open(made, f"select=rocksalt&cells={cells}")
    opened.wait(DRAWN)
    found = opened.run("""Object.fromEntries(document.getElementById('structure').data
        .filter((trace) => trace.type === 'mesh3d')
        .map((trace) => [trace.name, new Set(trace.text).size]))""")
    assert found == atoms


def test_a_phone_and_the_dark(opened, made):
    opened.look(width=390, height=844, dark=True)
    opened.open(made)
    opened.wait(DRAWN)
    assert opened.run("document.documentElement.scrollWidth <= innerWidth")
    paper = opened.run("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(20, 24, 28)"
    opened.look(width=390, height=844, dark=False)
    assert opened.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
