"""W41: what was compiled, as a difference of counts."""

from model.contract.compilation import Compilations


def test_w41_the_counts_of_one_request_are_what_came_on_top() -> None:
    new = Compilations(5, 3, 2).since(Compilations(4, 1, 2))
    assert new == Compilations(compiles=1, recompiles=2, autotunes=0)
    assert new.total == 3
    assert Compilations().total == 0
