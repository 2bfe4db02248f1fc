"""Files are whole or not there, whatever happens to the writer."""

import hashlib
import json
import signal
import subprocess
import sys
import threading

import pytest

from jaxcrys.core.files import atomic_path, sha256, sweep_partials, write_json, write_text


def test_failure_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail():
        with atomic_path(target) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert [*tmp_path.iterdir()] == [target]


def test_a_file_that_was_never_written_is_an_error_and_not_an_empty_file(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert not [*tmp_path.iterdir()]


def test_folders_and_missing_parents(tmp_path):
    target = tmp_path / "deep" / "er" / "folder"
    with atomic_path(target) as partial:
        (partial / "inner").mkdir(parents=True)
        (partial / "inner" / "b.txt").write_text("b")
        assert not target.exists()
    assert (target / "inner" / "b.txt").read_text() == "b"
    assert [*target.parent.iterdir()] == [target]


KILLED_WRITER = """
import pathlib, sys, time
from jaxcrys.core.files import atomic_path
with atomic_path(sys.argv[1]) as partial, partial.open("w") as handle:
    handle.write("new" * 100_000)
    handle.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_killed_writer_leaves_the_old_file_whole_and_its_rubbish_is_swept(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(target)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        writer.send_signal(signal.SIGKILL)
        assert writer.wait(10) == -signal.SIGKILL
    assert target.read_text() == "old"
    assert len([*tmp_path.iterdir()]) == 2
    sweep_partials(target)
    assert [*tmp_path.iterdir()] == [target]
    write_text(target, "new")
    assert target.read_text() == "new"


def test_sweeping_touches_only_the_partials_of_that_file(tmp_path):
    """Not those of ``run.extra``, nor other hidden folders, nor names that look like patterns."""
    kept = [tmp_path / name for name in (".run.cache", ".run.extra.abcdefgh.partial", "run", ".x")]
    for folder in kept:
        folder.mkdir()
    sweep_partials(tmp_path / "run")
    sweep_partials(tmp_path / "*")
    sweep_partials(tmp_path / "absent" / "run")
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    with atomic_path(tmp_path / "run.extra2") as partial:
        partial.write_text("alive")
        sweep_partials(tmp_path / "run")
    assert (tmp_path / "run.extra2").read_text() == "alive"


def test_readers_see_one_version_or_the_other(tmp_path):
    target = tmp_path / "a.txt"
    versions = {letter * 200_000 for letter in "ab"}
    write_text(target, "a" * 200_000)
    done = threading.Event()

    def write():
        for _ in range(20):
            for text in versions:
                write_text(target, text)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not done.is_set():
        assert target.read_text() in versions
        seen += 1
    writer.join()
    assert seen > 0


def test_json_keeps_order_and_letters(tmp_path):
    write_json(tmp_path / "a.json", {"z": 1, "a": "Å"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "z": 1,\n  "a": "Å"\n}\n'
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"z": object()})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["z"] == 1


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"\r\nabc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"\r\nabc").hexdigest()


def test_what_lies_beside_is_left_alone(tmp_path):
    """Files of others come and go while ours is written."""
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "gone").symlink_to(tmp_path / "nowhere")
    write_text(tmp_path / "ours.txt", "whole")
    assert (tmp_path / "ours.txt").read_text() == "whole"
