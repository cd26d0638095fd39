"""Learn a small CLIP tokenizer from the captions.

A byte-pair trainer of our own: the one in the tokenizers library breaks ties differently in every
run, and the vocabulary must be the same each time.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

from transformers import CLIPTokenizer

Pair = tuple[str, str]

LONGEST_CAPTION: Final = 24
START: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
WORD_END: Final = "</w>"
CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789.,!?-'\"()&/:;+%#"
# CLIP's own split: runs of letters, single digits, runs of anything else.
WORDS: Final = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")


def learn_merges(captions: Iterable[str], count: int) -> list[Pair]:
    """The most frequent pairs in the order in which they merge; ties go to the later in the
    alphabet.
    """
    learner = _MergeLearner(
        Counter(word for text in captions for word in WORDS.findall(text.lower()))
    )
    merges: list[Pair] = []
    while len(merges) < count and (pair := learner.most_frequent()):
        merges.append(pair)
        learner.merge(pair)
    return merges


class _MergeLearner:
    """Words as symbol lists, and how often each pair of neighbours occurs."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.symbols = {word: [*word[:-1], word[-1] + WORD_END] for word in counts}
        self.pairs: Counter[Pair] = Counter()
        self.words_with: dict[Pair, set[str]] = defaultdict(set)
        for word in counts:
            self._tally(word, 1)

    def _tally(self, word: str, sign: int) -> None:
        symbols = self.symbols[word]
        for pair in pairwise(symbols):
            self.pairs[pair] += sign * self.counts[word]
            self.words_with[pair].add(word)

    def most_frequent(self) -> Pair | None:
        if not self.pairs:
            return None
        pair = max(self.pairs, key=lambda each: (self.pairs[each], each))
        return pair if self.pairs[pair] > 0 else None

    def merge(self, pair: Pair) -> None:
        for word in sorted(self.words_with.pop(pair)):
            self._tally(word, -1)
            self.symbols[word] = joined(self.symbols[word], pair)
            self._tally(word, 1)
        self.pairs.pop(pair, None)


def joined(symbols: list[str], pair: Pair) -> list[str]:
    """Replace each occurrence of the pair by one symbol, from the left."""
    result: list[str] = []
    place = 0
    while place < len(symbols):
        found = tuple(symbols[place : place + 2]) == pair
        result.append("".join(pair) if found else symbols[place])
        place += 2 if found else 1
    return result


def vocabulary(merges: list[Pair]) -> dict[str, int]:
    symbols = [*CHARACTERS, *(each + WORD_END for each in CHARACTERS)]
    symbols += [first + second for first, second in merges]
    return {symbol: number for number, symbol in enumerate(dict.fromkeys([*symbols, START, END]))}


def write_tokenizer(captions: Iterable[str], size: int, folder: Path) -> CLIPTokenizer:
    """Learn from captions, write CLIP's two files and load them."""
    merges = learn_merges(captions, size - 2 * len(CHARACTERS) - 2)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(vocabulary(merges), ensure_ascii=False, separators=(",", ":"))
    (folder / "vocab.json").write_text(text)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=LONGEST_CAPTION
    )
