"""The tokenizer's training is the same each time, and its merges are the frequent pairs."""

from pathlib import Path

from model.embedded.tokenizer import joined, learn_merges, vocabulary, write_tokenizer

CAPTIONS = ("a red fox on a red background", "a red box")


def test_the_most_frequent_pair_comes_first() -> None:
    assert learn_merges(CAPTIONS, 3)[:2] == [("r", "e"), ("re", "d</w>")]


def test_learning_is_repeatable() -> None:
    assert learn_merges(CAPTIONS, 20) == learn_merges(CAPTIONS, 20)


def test_learning_ends_when_nothing_is_left_to_merge() -> None:
    assert len(learn_merges(("ab",), 20)) == 1


def test_pairs_join_from_the_left() -> None:
    assert joined(["a", "a", "a"], ("a", "a")) == ["aa", "a"]


def test_vocabulary_numbers_are_dense() -> None:
    numbers = vocabulary([("a", "b")]).values()
    assert sorted(numbers) == list(range(len(numbers)))


def test_a_written_tokenizer_joins_known_words(tmp_path: Path) -> None:
    tokenizer = write_tokenizer(CAPTIONS, 160, tmp_path)
    assert len(tokenizer("red fox").input_ids) == 4
