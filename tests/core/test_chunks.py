import numpy as np

from jaxcrys.core.chunks import ChunkStore


def test_pieces_come_back_whole(tmp_path):
    store = ChunkStore(tmp_path / "work", "key")
    store.save(3, {"a": np.arange(4), "text": np.array("π")})
    again = ChunkStore(tmp_path / "work", "key")
    assert [again.has(i) for i in range(5)] == [False, False, False, True, False]
    assert again.load(3)["a"].tolist() == [0, 1, 2, 3]
    assert str(again.load(3)["text"]) == "π"


def test_another_key_sees_nothing(tmp_path):
    ChunkStore(tmp_path / "work", "one").save(0, {"a": np.zeros(1)})
    assert not ChunkStore(tmp_path / "work", "two").has(0)


def test_nothing_but_whole_pieces_lies_in_the_folder(tmp_path):
    store = ChunkStore(tmp_path / "work", "key")
    store.save(0, {"a": np.zeros(1)})
    store.save(0, {"a": np.ones(1)})
    assert [path.name for path in (tmp_path / "work" / "key").iterdir()] == ["000000.npz"]
    assert store.load(0)["a"].tolist() == [1]
    store.discard()
    assert not (tmp_path / "work").exists()
