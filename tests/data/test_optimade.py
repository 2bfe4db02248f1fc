"""Responses of OPTIMADE, files of JSON lines, tables with their columns; what is no crystal."""

import copy
import json

import pandas as pd
import pytest
from pymatgen.core import Structure
from pymatgen.io.optimade import OptimadeStructureAdapter

from jaxcrys.crystal import example_crystal
from jaxcrys.crystal.convert import from_arrays, to_structure
from jaxcrys.data.parsing import parse
from jaxcrys.data.readers import read_records

STRUCTURE = to_structure(example_crystal())
# What pymatgen makes of a structure for OPTIMADE, and what servers add.
MADE = OptimadeStructureAdapter.get_optimade_structure(STRUCTURE)["attributes"]
ADDED = {"_mp_gap": 5.0, "last_modified": "2024-01-01T00:00:00Z", "immutable_id": "1"}
ENTRY = {"type": "structures", "id": "db/1", "attributes": json.loads(json.dumps(MADE)) | ADDED}


def group_of(record) -> int:
    return int(from_arrays(*parse(record.kind, record.content)).group)


def changed(**attributes) -> dict:
    entry = copy.deepcopy(ENTRY)
    entry["attributes"] |= attributes
    return entry


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"data": [ENTRY, ENTRY], "meta": {"data_returned": 2}}, ["data/0", "data/1"]),
        ({"data": ENTRY, "included": [{"type": "references", "id": "1"}]}, ["data"]),
        ([ENTRY], ["0"]),
        (ENTRY, [""]),
    ],
)
def test_responses_and_lists(tmp_path, value, rows):
    (tmp_path / "t.json").write_text(json.dumps(value))
    records = list(read_records(tmp_path / "t.json"))
    assert [record.row for record in records] == rows
    for record in records:
        assert group_of(record) == 225
        assert record.properties == {
            "id": "db/1",
            "_mp_gap": "5.0",
            "last_modified": "2024-01-01T00:00:00Z",
            "immutable_id": "1",
        }


def test_json_lines_with_a_header_and_other_entries(tmp_path):
    lines = [
        {"x-optimade": {"meta": {"api_version": "1.1.0"}}},
        {"type": "info", "id": "structures", "properties": {"structure": {"type": "string"}}},
        ENTRY,
        {"type": "references", "id": "r", "attributes": {"title": "t"}},
        STRUCTURE.as_dict(),
    ]
    text = "\n\n".join(json.dumps(line, default=float) for line in lines)
    (tmp_path / "t.jsonl").write_text(text)
    records = list(read_records(tmp_path / "t.jsonl"))
    assert [record.kind for record in records] == ["optimade", "structure"]
    assert [group_of(record) for record in records] == [225, 225]


def test_tables_with_columns_of_optimade(tmp_path):
    rows = [{"gap": 5.0} | ENTRY["attributes"]]
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    [record] = read_records(tmp_path / "t.parquet")
    assert group_of(record) == 225
    assert record.properties["gap"] == "5.0"
    assert not {"species", "lattice_vectors", "elements"} & set(record.properties)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_tables_with_a_column_of_structures(tmp_path, kind):
    other = Structure.from_spacegroup("Fm-3m", STRUCTURE.lattice, ["K", "Br"], [[0] * 3, [0.5] * 3])
    structures = [json.loads(each.to_json()) for each in (STRUCTURE, other)]
    for each in structures:
        del each["properties"]  # empty, which parquet does not hold
    if kind == "csv":
        structures = [*map(json.dumps, structures), "no json", "[1]", ""]
    table = pd.DataFrame({"structure": structures, "gap": range(len(structures))})
    getattr(table, f"to_{kind}")(tmp_path / f"t.{kind}")
    records = list(read_records(tmp_path / f"t.{kind}"))
    assert [record.properties["gap"] for record in records] == [str(n) for n in table["gap"]]
    assert [group_of(record) for record in records[:2]] == [225, 225]
    for record in records[2:]:
        with pytest.raises(ValueError, match="is not a readable structure record"):
            parse(record.kind, record.content)


def species(*symbols, concentration=(1.0,), **more):
    described = {"name": "A", "chemical_symbols": symbols, "concentration": concentration, **more}
    return {"species": [described], "species_at_sites": ["A"] * 8}


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        (species("Na", "K", concentration=(0.5, 0.5)), "disordered"),
        (species("Na", "vacancy", concentration=(0.5, 0.5)), "disordered"),
        (species("Na", concentration=(0.9,)), "disordered"),
        (species("Na", concentration=(0.5, 0.5)), "disordered"),
        (species("X"), "unknown_element"),
        (species("vacancy"), "unknown_element"),
        (species("Na", attached=["H"], nattached=[1]), "incomplete"),
        (species("Na", name="K") | {"species_at_sites": ["K"] * 8}, "unreadable"),
        ({"structure_features": ["disorder"]}, "disordered"),
        ({"structure_features": ["assemblies"]}, "disordered"),
        ({"structure_features": ["implicit_atoms"]}, "incomplete"),
        ({"dimension_types": [1, 1, 0]}, "bad_lattice"),
        ({"nperiodic_dimensions": 2}, "bad_lattice"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [None] * 3]}, "bad_lattice"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [4, 4, 0]]}, "bad_lattice"),
        ({"lattice_vectors": None}, "bad_lattice"),
        ({"nsites": 9}, "unreadable"),
        ({"cartesian_site_positions": [[0, 0, 0]]}, "unreadable"),
        ({"cartesian_site_positions": None}, "unreadable"),
        ({"species_at_sites": None}, "unreadable"),
        ({"species": [{"name": "Na"}, {"name": "Cl"}]}, "unreadable"),
        ({"species": [1]}, "unreadable"),
    ],
)
def test_what_is_no_ordered_crystal_is_rejected(tmp_path, attributes, code):
    (tmp_path / "t.json").write_text(json.dumps([changed(**attributes)]))
    [record] = read_records(tmp_path / "t.json")
    with pytest.raises(ValueError) as caught:
        parse(record.kind, record.content)
    assert caught.value.code == code


def test_pure_species_of_any_name_are_read():
    record = changed(**species("Na", mass=[22.99], original_name="sodium"))
    assert set(parse("optimade", record["attributes"]).numbers) == {11}
