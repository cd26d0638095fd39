"""Measure how well the embedded model follows its prompts, and fail when it is below the bar.

Runs on any CPU with what the package holds. The same scores guard batching, caching and
quantisation: a change to the server that makes the pictures worse shows here.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from . import PIPELINE_FOLDER
from .drawing import draw, generation_defaults, open_pipeline
from .judge import Detail, Verdict, judge, judge_detail
from .libraries import Pipeline
from .questions import ALL_PROMPTS, SEED, Question, Questions, make_questions

Judged = list[tuple[Question, Verdict]]


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table: what it says and the least that is good enough."""

    title: str
    bar: float


MEASURES: Final = {
    "name": Measure("named object", 0.90),
    "name_unseen": Measure("named object, pair never trained on", 0.90),
    "style": Measure("asked style", 0.90),
    "background": Measure("asked background colour", 0.90),
    "background_unseen": Measure("background colour, pair never trained on", 0.90),
    "hue": Measure("asked object colour", 0.90),
    "hue_name": Measure("named object in the asked colour", 0.90),
    "small": Measure("named object, and small when asked", 0.90),
    "sharpness": Measure("gradient energy, share of the reference's", 0.80),
    "edges": Measure("correlation of edges with the reference's", 0.75),
}


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares from 0 to 1 by measure, and how many pictures they rest on."""

    values: dict[str, float]
    pictures: int
    seconds_a_picture: float

    def below_bar(self) -> list[str]:
        return [name for name, measure in MEASURES.items() if self.values[name] < measure.bar]


def measure(
    pipeline: Pipeline, questions: Questions, *, seed: int = SEED, **settings: Any
) -> Scores:
    """Draw every question and judge the pictures."""
    asked = questions.all()
    started = time.perf_counter()
    pictures = draw(pipeline, [each.prompt for each in asked], seed=seed, **settings)
    seconds = (time.perf_counter() - started) / len(asked)
    found = dict(zip(asked, pictures, strict=True))

    def verdicts(part: Iterable[Question]) -> Judged:
        return [(each, judge(found[each], each)) for each in part]

    details = [judge_detail(found[each], each) for each in questions.detailed]
    values = _values(
        verdicts(questions.plain), verdicts(questions.coloured), verdicts(questions.small), details
    )
    return Scores(values, len(asked), round(seconds, 3))


def _share(judged: Judged, right: Callable[[Verdict], bool]) -> float:
    return mean([float(right(verdict)) for _, verdict in judged]) if judged else 1.0


def _values(
    plain: Judged, coloured: Judged, small: Judged, details: list[Detail]
) -> dict[str, float]:
    unseen = [(question, verdict) for question, verdict in plain if question.unseen]
    values = {
        "name": _share(plain, lambda each: each.name),
        "name_unseen": _share(unseen, lambda each: each.name),
        "style": _share(plain, lambda each: each.style),
        "background": _share(plain, lambda each: each.background),
        "background_unseen": _share(unseen, lambda each: each.background),
        "hue": _share(coloured, lambda each: each.hue),
        "hue_name": _share(coloured, lambda each: each.name),
        "small": _share(small, lambda each: each.small),
        "sharpness": median(each.sharpness for each in details),
        "edges": median(each.edges for each in details),
    }
    return {name: round(value, 3) for name, value in values.items()}


def table(scores: Scores) -> str:
    """The scores as text, one measure a line, with its bar."""
    lines = [
        f"{measure.title:<42} {scores.values[name]:6.1%}   bar {measure.bar:4.0%}"
        f"{'' if scores.values[name] >= measure.bar else '   BELOW'}"
        for name, measure in MEASURES.items()
    ]
    return "\n".join([*lines, f"{scores.pictures} pictures, {scores.seconds_a_picture:.2f} s each"])


def parse() -> argparse.Namespace:
    defaults = generation_defaults(PIPELINE_FOLDER)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--model", type=Path, default=PIPELINE_FOLDER, help="pipeline folder to measure"
    )
    parser.add_argument(
        "--limit", type=int, default=ALL_PROMPTS, help="plain prompts; fewer for a quick run"
    )
    parser.add_argument(
        "--steps", type=int, default=defaults["num_inference_steps"], help="denoising steps"
    )
    parser.add_argument(
        "--guidance", type=float, default=defaults["guidance_scale"], help="guidance scale"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the first picture")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    return parser.parse_args()


def main() -> int:
    """Print the scores; the exit status is 1 when one is below its bar."""
    given = parse()
    questions = make_questions(given.limit)
    settings = {"num_inference_steps": given.steps, "guidance_scale": given.guidance}
    scores = measure(open_pipeline(given.model), questions, seed=given.seed, **settings)
    below = scores.below_bar()
    print(
        json.dumps({**asdict(scores), "below_bar": below}, indent=2)
        if given.json
        else table(scores)
    )
    if below and not given.json:
        print("Next: look at the pictures with python -m model.embedded.sheet --failures")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
