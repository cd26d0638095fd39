"""W41: what was compiled, as a difference of counts."""

from model.contract.compilation import Compilations


def test_w41_the_counts_of_one_request_are_what_came_on_top() -> None:
    new = Compilations(5, 3, 2, 9).since(Compilations(4, 1, 2, 4))
    assert new == Compilations(compiles=1, recompiles=2, autotunes=0, eager_calls=5)
    assert new.total == 3, "what ran eagerly was not compiled"
    assert Compilations().total == 0


def test_w41_the_counts_of_two_ranks_are_added() -> None:
    assert Compilations(1, 2, 3, 4) + Compilations(10, 20, 30, 40) == Compilations(11, 22, 33, 44)
