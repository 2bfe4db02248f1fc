"""Weights by name: fetched once from a server, and refused where they are not what they must be."""

import functools
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.potentials import library
from jaxcrys.potentials.library import Weights, corrections_for, load_potential
from tests.weights import small_file


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """A folder behind a local address."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_weights_are_fetched_once_and_checked(server, tmp_path, monkeypatch):
    folder, address = server
    data = small_file()
    (folder / "small.nqx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    named = {"small": Weights(f"{address}/small.nqx", digest, "MP2020")}
    monkeypatch.setattr(library, "WEIGHTS", named)
    found = load_potential("small", cache=tmp_path / "cache")
    assert (found.name, found.digest, corrections_for(found)) == ("small", digest, "MP2020")
    (folder / "small.nqx").unlink()
    assert load_potential("small", cache=tmp_path / "cache").digest == digest
    with pytest.raises(InputError, match="cannot be fetched"):
        load_potential("small", cache=tmp_path / "elsewhere")
    (folder / "small.nqx").write_bytes(data[:-3] + b"bad")
    with pytest.raises(InputError, match="cannot be fetched"):
        load_potential("small", cache=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere" / "small.nqx").exists()


def test_other_weights_have_no_corrections(tmp_path):
    (tmp_path / "own.nqx").write_bytes(small_file())
    assert corrections_for(load_potential(str(tmp_path / "own.nqx"))) == "none"
    with pytest.raises(InputError, match="no name of nequix-mp-1"):
        load_potential("unheard-of")
