import pytest

from jaxcrys.data.pool import map_chunks

DEATH = "__import__('os')._exit(1)"


@pytest.mark.parametrize("workers", [1, 2])
def test_items_that_kill_their_worker_are_lost_alone(workers):
    chunks = [(0, ["1", "2"]), (1, ["3", DEATH, "5"]), (4, ["6"]), (5, [DEATH, "7"])]
    results = list(map_chunks(eval, iter(chunks), workers=workers, lost=lambda item: "lost"))
    assert results == [(0, [1, 2]), (1, [3, "lost", 5]), (4, [6]), (5, ["lost", 7])]


def test_errors_of_the_function_are_raised():
    with pytest.raises(ZeroDivisionError):
        list(map_chunks(eval, [(0, ["1 / 0"])], workers=1, lost=str))
