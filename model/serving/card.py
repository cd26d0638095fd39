"""What the server says of itself and of its model, for every protocol. Imports no kserve."""

from dataclasses import asdict
from typing import Any, Final

from .. import __version__
from ..contract.sampling import ModelDescription, Task
from ..pipelines.parameters import PARAMETERS
from ..pipelines.requests import output_format, takes
from .context import Serving

SERVER_NAME: Final = "kiln"
PLATFORM: Final = "kiln_diffusers"
# Only what works: load and unload of models are off on every protocol.
EXTENSIONS: Final = ("binary_tensor_data",)

PROMPT: Final = "prompt"
NEGATIVE_PROMPT: Final = "negative_prompt"
IMAGE: Final = "image"
MASK: Final = "mask"
LAST_IMAGE: Final = "last_image"
VIDEO: Final = "video"
TENSOR_INPUTS: Final = (PROMPT, NEGATIVE_PROMPT, IMAGE, MASK, LAST_IMAGE, VIDEO)
# What tasks take besides texts.
PIXEL_INPUTS: Final = (IMAGE, MASK, LAST_IMAGE, VIDEO)
GENERATED_IMAGE: Final = "generated_image"
GENERATED_VIDEO: Final = "generated_video"


def server_metadata() -> dict[str, Any]:
    """``GET /v2`` and ServerMetadata."""
    return {"name": SERVER_NAME, "version": __version__, "extensions": list(EXTENSIONS)}


def input_tensors(serving: Serving) -> list[dict[str, Any]]:
    """Every input by name, datatype and shape; -1 is any number. Those that the model takes for one
    of its tasks; before it is loaded, those that there are."""
    description = serving.role.description
    texts = [
        {"name": name, "datatype": "BYTES", "shape": [-1]}
        for name in TENSOR_INPUTS
        if description is None or _takes_tensor(description, name)
    ]
    knobs = [
        {"name": each.name, "datatype": each.datatype, "shape": [1]}
        for each in PARAMETERS
        if description is None
        or any(takes(description, task, each.name) for task in description.tasks)
    ]
    return texts + knobs


def _takes_tensor(description: ModelDescription, name: str) -> bool:
    if name in PIXEL_INPUTS:
        return any(name in task.inputs for task in description.tasks)
    return name == PROMPT or any(name in each for each in description.accepted.values())


def output_tensors(serving: Serving) -> list[dict[str, Any]]:
    """The output in the default format: encoded pictures or videos, or pixels. Before the model is
    loaded, that of a model of pictures."""
    description = serving.role.description
    task = description.tasks[0] if description else Task.TEXT_TO_IMAGE
    name = output_name(task)
    if output_format(task, None, serving.settings) == "raw":
        frames = [-1] if task.makes_video else []
        return [{"name": name, "datatype": "UINT8", "shape": [-1, *frames, -1, -1, 3]}]
    return [{"name": name, "datatype": "BYTES", "shape": [-1]}]


def output_name(task: Task) -> str:
    """The one output tensor of a task."""
    return GENERATED_VIDEO if task.makes_video else GENERATED_IMAGE


def versions(serving: Serving) -> list[str]:
    """The revision that is loaded; none before."""
    description = serving.role.description
    return [description.revision] if description else []


def model_metadata(serving: Serving) -> dict[str, Any]:
    """``GET /v2/models/{name}``: the protocol's keys, and Kiln's own."""
    description = serving.role.description
    return {
        "name": serving.name,
        "versions": versions(serving),
        "platform": PLATFORM,
        "role": str(serving.settings.role),
        "inputs": input_tensors(serving),
        "outputs": output_tensors(serving),
        "state": str(serving.state.current),
        "failure": str(serving.state.failure) if serving.state.failure else None,
        "degraded": serving.state.degraded,
        "lacking": serving.state.lacking,
        "loras": list(serving.settings.loras),
        "adapter": asdict(serving.role.adapter) if serving.role.adapter else None,
        "timeline": serving.state.timeline,
        "pipeline": _pipeline(serving) if description else None,
        "defaults": asdict(description.defaults) if description else None,
        "warmup": serving.role.report.as_json(),
        "roles": serving.role.roles(),
    }


def _pipeline(serving: Serving) -> dict[str, Any]:
    description = serving.role.description
    assert description is not None
    return {
        "class": description.pipeline,
        "family": description.family,
        "registered": description.registered,
        "tasks": [str(each) for each in description.tasks],
        "parameters": {str(task): sorted(names) for task, names in description.accepted.items()},
        "alignment": description.alignment,
        "frame_step": description.frames.step if description.frames else None,
        "least_image_side": description.least_image_side,
        "most_images_in": description.most_images_in,
        "device": description.device,
        "dtype": description.dtype,
        "cancellable": description.cancellable,
        "load_seconds": description.load_seconds,
    }
