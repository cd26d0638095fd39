"""After which steps a picture is looked at."""

import itertools

import pytest

from model.contract.watching import preview_steps


@pytest.mark.parametrize(
    ("previews", "of", "expected"),
    [
        (0, 8, ()),
        (1, 8, (4,)),
        (3, 8, (2, 4, 6)),
        (3, 50, (12, 25, 37)),
        (3, 4, (1, 2, 3)),
        (3, 2, (1,)),
        (3, 1, ()),
    ],
)
def test_they_lie_evenly_before_the_last(previews: int, of: int, expected: tuple[int, ...]) -> None:
    assert preview_steps(previews, of) == expected


def test_where_there_are_steps_enough_none_is_missing_and_none_is_twice() -> None:
    for previews, of in itertools.product(range(4), range(4, 200)):
        found = preview_steps(previews, of)
        assert len(set(found)) == previews
        assert all(0 < each < of for each in found)
