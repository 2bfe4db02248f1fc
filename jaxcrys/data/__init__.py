"""Datasets: files of crystals in, arrays and tables out (host side)."""

from jaxcrys.data.dataset import Dataset, load_dataset
from jaxcrys.data.prepare import Prepared, prepare
from jaxcrys.data.readers import Record, read_records

__all__ = ["Dataset", "Prepared", "Record", "load_dataset", "prepare", "read_records"]
