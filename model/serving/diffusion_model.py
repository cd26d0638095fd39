"""The KServe model: ``load()`` starts the engine, loads the pipeline and warms it up; ``predict()``
takes the one way that every request takes.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import kserve
from kserve import InferRequest, InferResponse

from ..errors import Unsupported
from . import card
from .context import Serving
from .drawing import draw, revision
from .v1_codec import predictions, read_instance
from .v2_codec import decode, encode, settled


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
        assert answer.output_format is not None
        drawn = await draw(serving, wanted, answer.output_format)
        parameters = {**drawn.facts, "total_s": round(time.monotonic() - started, 4)}
        named = (self.name, revision(serving))
        return encode(drawn.generation, drawn.files, answer, parameters, named)


def _on_loop(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
