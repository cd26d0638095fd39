"""The KServe model: ``load()`` starts the engine, loads the pipeline and warms it up; ``predict()``
takes the one way that every request takes.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import kserve
from kserve import InferRequest, InferResponse

from ..contract.generation import Generation
from ..contract.sampling import Shape
from ..errors import Unsupported
from . import card
from .context import Serving
from .v1_codec import predictions, read_instance
from .v2_codec import Answer, decode, encode, settled


class DiffusionModel(kserve.Model):  # type: ignore[misc]
    """One diffusers pipeline behind KServe's protocols."""

    def __init__(self, serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        self._serving = serving
        self._loop = loop
        self._load_called = False
        super().__init__(serving.name)

    @property
    def ready(self) -> bool:
        """A reading of the server's one state."""
        return self._serving.state.ready

    @ready.setter
    def ready(self, value: bool) -> None:
        """KServe's base class sets it in places of its own choice; ours cannot be set."""

    async def healthy(self) -> bool:
        return self.ready

    def start(self) -> None:
        """KServe's base class would call the model ready here."""

    def load(self) -> bool:
        """Start the engine, load the pipeline, run server warmup; return once warm. Blocks: call it
        on a thread of its own, once.

        Raises:
            StartupError: it did not come up.
            Unsupported: called again, or from the event loop (KServe's stock data plane would, from
                requests).
        """
        if self._load_called or _on_loop(self._loop):
            raise Unsupported("load() is called once, by the server itself")
        self._load_called = True
        asyncio.run_coroutine_threadsafe(self._serving.role.load(), self._loop).result()
        return True

    def get_input_types(self) -> list[dict[str, Any]]:
        return card.input_tensors(self._serving)

    def get_output_types(self) -> list[dict[str, Any]]:
        return card.output_tensors(self._serving)

    async def predict(
        self, payload: InferRequest | dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> InferResponse | dict[str, Any]:
        """v2 in, v2 out; v1 (a dictionary with ``instances``) in, ``predictions`` out.

        Raises:
            RequestError: what is wrong with the request, or went wrong with it.
        """
        if isinstance(payload, InferRequest):
            return await self._infer(payload)
        instances = [
            read_instance(each, number) for number, each in enumerate(payload["instances"])
        ]
        jobs = [asyncio.create_task(self._infer(each)) for each in instances]
        try:
            return predictions(await asyncio.gather(*jobs))
        finally:
            for job in jobs:
                job.cancel()

    async def _infer(self, request: InferRequest) -> InferResponse:
        serving = self._serving
        started = time.monotonic()
        model = serving.role.description
        fit = model is None or model.most_images_in == 1
        ask, answer = await asyncio.to_thread(decode, request, serving.settings, fit)
        wanted = serving.role.prepare(ask)
        answer = settled(answer, wanted, serving.settings)
        generation = await serving.role.generate(wanted)
        drawn = time.monotonic()
        files = await self._encoded(generation, answer, wanted.sampling.fps)
        encoding = time.monotonic() - drawn
        serving.metrics.stage_seconds.labels("encode").observe(encoding)
        parameters = {
            **_facts(generation, answer, self._revision, wanted.sampling.fps),
            "encode_s": round(encoding, 4),
            "total_s": round(time.monotonic() - started, 4),
        }
        return encode(generation, files, answer, parameters, (self.name, self._revision))

    @property
    def _revision(self) -> str:
        description = self._serving.role.description
        return description.revision if description else ""

    async def _encoded(
        self, generation: Generation, answer: Answer, fps: float | None
    ) -> list[bytes] | None:
        if answer.output_format is None or answer.output_format == "raw":
            return None
        described: list[dict[str, object]] = [
            {
                "model": self.name,
                "revision": self._revision,
                "seed": seed,
                "steps": generation.steps,
                "size": f"{generation.shape.width}x{generation.shape.height}",
            }
            for seed in generation.seeds
        ]
        return await self._serving.pool.encode_all(
            generation.pixels, answer.output_format, described, fps or 0.0
        )


def _facts(
    generation: Generation, answer: Answer, revision: str, fps: float | None
) -> dict[str, Any]:
    """The response parameters: scalars only, since the protocol has no others."""
    timings = generation.timings
    return {
        "seeds": ",".join(str(each) for each in generation.seeds),
        "num_inference_steps": generation.steps,
        "width": generation.shape.width,
        "height": generation.shape.height,
        **_video_facts(generation.shape, fps),
        "output_format": answer.output_format,
        "model_revision": revision,
        "batch_size": generation.shape.batch,
        "cold_shape": generation.cold_shape,
        **_eager_facts(generation),
        "queue_s": round(timings.queue, 4),
        "prepare_s": round(timings.prepare, 4),
        "denoise_s": round(sum(timings.steps), 4),
        "decode_s": round(timings.decode, 4),
        **generation.notes,
    }


def _eager_facts(generation: Generation) -> dict[str, Any]:
    """W40: only where a server compiles, and did not have the code for this request."""
    return {"eager_calls": generation.eager_calls} if generation.eager_calls else {}


def _video_facts(shape: Shape, fps: float | None) -> dict[str, Any]:
    return {"num_frames": shape.frames, "fps": fps} if shape.task.makes_video else {}


def _on_loop(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
