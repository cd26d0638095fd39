"""W21: how the calls of a denoiser are divided, when they fail, and when a request breaks off."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.models.modeling_outputs import Transformer2DModelOutput

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.errors import GenerationFailed
from model.pipelines.branches import Division, divide
from model.pipelines.families import Branches

SAMPLING = Sampling(width=8, height=8, num_inference_steps=2)
GUIDED = GenerationRequest("a", Task.TEXT_TO_IMAGE, ("a",), SAMPLING, seeds=(1,), cfg=True)


class Denoiser(torch.nn.Module):
    """Adds its inputs. ``seen``: the batches of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []
        self.failure: Exception | None = None

    def forward(self, sample: Any, time: Any, *, text: Any, extra: Any = None) -> Any:
        self.seen.append(len(sample))
        if self.failure is not None:
            raise self.failure
        return (sample + text + time,)


@dataclass
class Other:
    """The second rank, in this process."""

    denoiser: Any
    asked: Any = None
    failure: Exception | None = None
    log: str = ""

    def ask(self, part: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        assert self.asked is None, "one at a time"
        assert part == "unet"
        self.asked = (given, named)
        self.log += "ask "

    def answer(self) -> Any:
        given, named = self.asked
        self.asked = None
        self.log += "answer "
        if self.failure is not None:
            raise self.failure
        return self.denoiser(*given, **named)


def divided(branches: Branches) -> tuple[Denoiser, Other, Division]:
    denoiser, other = Denoiser(), Other(Denoiser())
    division = divide([SimpleNamespace(unet=denoiser)], branches, other)
    division.begin(GUIDED)
    return denoiser, other, division


def batch(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def test_w21_one_call_on_twice_the_batch_is_halved() -> None:
    denoiser, other, _ = divided(Branches.TOGETHER)
    extra = {"each": batch(1, 2, 3, 4), "all": torch.ones(3), "names": ["a", "b", "c", "d"]}
    (output,) = denoiser(batch(1, 2, 3, 4), torch.tensor(10), text=batch(5, 6, 7, 8), extra=extra)
    assert output.flatten().tolist() == [16, 18, 20, 22]
    assert (denoiser.seen, other.denoiser.seen) == ([2], [2])


def test_w21_only_what_is_as_long_as_the_batch_is_halved() -> None:
    denoiser, other, _ = divided(Branches.TOGETHER)
    seen: list[Any] = []
    other.denoiser.register_forward_pre_hook(
        lambda _, given, named: seen.append((given, named)), with_kwargs=True
    )
    extra = {"each": batch(1, 2), "all": torch.ones(3), "names": ["a", "b"], "size": (2, 2)}
    denoiser(batch(1, 2), torch.tensor(10), text=batch(3, 4), extra=extra)
    ((sample, time), named) = seen[0]
    assert (sample.tolist(), time.item(), named["text"].tolist()) == ([[2]], 10, [[4]])
    found = named["extra"]
    assert (found["each"].tolist(), len(found["all"])) == ([[2]], 3)
    assert (found["names"], found["size"]) == (["b"], (2, 2))


def test_w21_lists_of_pictures_are_halved_and_joined() -> None:
    """As Z-Image has them."""

    class Listing(torch.nn.Module):
        def forward(self, sample: Any, text: Any) -> Any:
            return ([a + b for a, b in zip(sample, text, strict=True)],)

    denoiser, other = Listing(), Other(Listing())
    divide([SimpleNamespace(unet=denoiser)], Branches.TOGETHER, other).begin(GUIDED)
    ones = [torch.full((2,), float(number)) for number in range(4)]
    (output,) = denoiser(ones, ones)
    assert [each[0].item() for each in output] == [0, 2, 4, 6]
    assert other.log == "ask answer "


def test_w21_a_request_without_guidance_is_not_divided() -> None:
    denoiser, other, division = divided(Branches.TOGETHER)
    division.begin(replace(GUIDED, cfg=False))
    denoiser(batch(1), 0, text=batch(1))
    assert (denoiser.seen, other.log) == ([1], "")


def test_w21_a_guided_call_that_cannot_be_halved_is_an_error() -> None:
    denoiser, other, _ = divided(Branches.TOGETHER)
    with pytest.raises(ValueError, match="a guided call of unet has a batch of 3"):
        denoiser(batch(1, 2, 3), 0, text=batch(1, 2, 3))
    assert other.log == ""


def test_w21_of_two_calls_the_first_is_promised_and_kept_with_the_second() -> None:
    denoiser, other, _ = divided(Branches.APART)
    for step in range(3):
        (first,) = denoiser(batch(1), step, text=batch(2))
        view = first[:, :1]
        if step:
            assert view.isnan().all(), "whoever looks early is found out"
        (second,) = denoiser(batch(1), step, text=batch(5))
        assert (view.item(), second.item()) == (3 + step, 6 + step)
    assert (len(denoiser.seen), len(other.denoiser.seen)) == (3, 3)
    assert other.log == "ask answer " * 3


def test_w21_an_output_is_promised_once_one_of_its_size_is_known() -> None:
    denoiser, _, _ = divided(Branches.APART)
    for size in (1, 2, 1):
        (first,) = denoiser(torch.ones(size, 1), 0, text=batch(2))
        (second,) = denoiser(torch.ones(size, 1), 0, text=batch(5))
        assert (first.shape, first[0].item(), second[0].item()) == ((size, 1), 3, 6)


@pytest.mark.parametrize("branches", [Branches.TOGETHER, Branches.APART])
@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_w21_after_a_failure_of_either_rank_the_next_picture_is_right(
    branches: Branches, whose: str
) -> None:
    denoiser, other, division = divided(branches)

    def step() -> tuple[float, float]:
        if branches is Branches.TOGETHER:
            (both,) = denoiser(batch(1, 1), 0, text=batch(2, 5))
            return both[0].item(), both[1].item()
        (first,), (second,) = (denoiser(batch(1), 0, text=batch(each)) for each in (2, 5))
        return first.item(), second.item()

    step()
    failing: Any = denoiser if whose == "ours" else other
    failing.failure = MemoryError("no room")
    with pytest.raises(MemoryError, match="no room"):
        step()
    failing.failure = None
    division.begin(GUIDED)
    assert step() == (3, 6)
    assert other.asked is None


@pytest.mark.parametrize("branches", [Branches.TOGETHER, Branches.APART])
def test_w21_outputs_of_diffusers_are_joined_and_kept_as_they_are(branches: Branches) -> None:
    class Naming(torch.nn.Module):
        def forward(self, sample: Any, text: Any) -> Any:
            return Transformer2DModelOutput(sample=sample + text)

    denoiser = Naming()
    divide([SimpleNamespace(unet=denoiser)], branches, Other(Naming())).begin(GUIDED)
    for _ in range(2):
        if branches is Branches.TOGETHER:
            found = denoiser(batch(1, 2), batch(3, 4)).sample.flatten().tolist()
        else:
            both = denoiser(batch(1), batch(3)), denoiser(batch(2), batch(4))
            found = [each.sample.item() for each in both]
        assert found == [4, 6]


@pytest.mark.parametrize("failure", [None, MemoryError("no room"), GenerationFailed("no")])
def test_w21_a_request_that_breaks_off_between_two_calls_leaves_nothing(
    failure: Exception | None,
) -> None:
    denoiser, other, division = divided(Branches.APART)
    for _ in range(2):
        (first,) = denoiser(batch(1), 0, text=batch(2))
        (second,) = denoiser(batch(1), 0, text=batch(5))
    denoiser(batch(1), 0, text=batch(2))
    assert other.asked is not None
    other.failure = failure
    division.begin(GUIDED)
    assert other.asked is None
    other.failure = None
    (first,) = denoiser(batch(1), 0, text=batch(7))
    (second,) = denoiser(batch(1), 0, text=batch(9))
    assert (first.item(), second.item()) == (8, 10)


def test_w21_what_is_compiled_is_a_ranks_whole_call_and_nothing_else() -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    denoiser, other = Denoiser(), Other(Denoiser())
    denoiser.compile(backend=backend, fullgraph=True)
    divide([SimpleNamespace(unet=denoiser)], Branches.TOGETHER, other).begin(GUIDED)
    for _ in range(2):
        (output,) = denoiser(batch(1, 2), 0, text=batch(3, 4))
        assert output.flatten().tolist() == [4, 6]
    assert graphs
    assert denoiser.seen == [1, 1]
    torch._dynamo.reset()
