"""LoRA adapters: loaded with the model, and switched on and off later (W42). Imports torch: engine
process only.

Each stays beside the base weights, which no adapter ever touches: without one, a picture is what it
was before any was loaded, bit for bit.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..contract.adapter import Adapter
from ..errors import ModelNotLoadable


def load_adapters(pipeline: Any, loras: Mapping[str, Path]) -> None:
    """Load all; none is active. Pipelines that share the components share the adapters.

    Raises:
        ModelNotLoadable: a file is broken, or was made for another model.
    """
    if not loras:
        return
    kind = type(pipeline).__name__
    if not hasattr(pipeline, "load_lora_weights"):
        raise ModelNotLoadable(f"--loras: {kind} takes no LoRA; leave the setting out")
    for name, file in loras.items():
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*multiple adapters in the model")  # as meant
                pipeline.load_lora_weights(
                    str(file.parent),
                    weight_name=file.name,
                    adapter_name=name,
                    local_files_only=True,
                )
        # diffusers, peft and safetensors raise a dozen unrelated types for broken files.
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise ModelNotLoadable(
                f"--loras: {name} ({file.name}) cannot be loaded into {kind}: "
                f"{type(error).__name__}: {first[:300]}"
            ) from error
        # A file for another model is no error to diffusers: it finds no key, and loads nothing.
        if not any(name in found for found in pipeline.get_list_adapters().values()):
            raise ModelNotLoadable(f"--loras: {name} ({file.name}) holds nothing for {kind}")
    activate(pipeline, None)


def activate(pipeline: Any, adapter: Adapter | None) -> None:
    """Switch one adapter on and all others off; None: all off."""
    if adapter is None:
        pipeline.disable_lora()
    else:
        pipeline.enable_lora()
        pipeline.set_adapters([adapter.lora], [adapter.scale])
