"""Errors travel between processes with all they say."""

import concurrent.futures
import multiprocessing
import pickle

from jaxcrys.core.errors import InputError
from jaxcrys.symmetry.tables import check_group

ERROR = InputError("row 3", "expected a group, got 'x'", "give a number")


def test_message_names_place_problem_and_mend():
    assert str(ERROR) == "row 3: expected a group, got 'x'; give a number"
    assert str(InputError("row 3", "is empty")) == "row 3: is empty"
    assert isinstance(ERROR, ValueError)


def test_pickle_round_trip_keeps_the_parts():
    again = pickle.loads(pickle.dumps(ERROR))
    assert (type(again), again.args) == (InputError, ERROR.args)
    assert (again.where, again.problem, again.mend) == (ERROR.where, ERROR.problem, ERROR.mend)


def test_comes_back_from_a_worker_process():
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        error = pool.submit(check_group, 0).exception()
    assert isinstance(error, InputError)
    assert (error.where, error.mend) == ("space group", "")
    assert error.problem.endswith("from 1 to 230, got 0")
