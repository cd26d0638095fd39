"""``python -m model plan``: what a server with these settings would warm up. Reads no weights, and
imports no torch.
"""

import argparse
import json
from typing import Any, Final

from ..configuration.flags import add_flags
from ..contract.generation import GenerationRequest
from ..contract.sampling import ModelDescription
from ..contract.warmup import WarmupMode
from ..settings import Settings
from .parser import Commands
from .settings import settings_of

ONLY_AFTER_LOADING: Final = (
    "whether the shapes fit into the device's memory",
    "how many passes each takes until it is steady (two at least, four at most)",
)
UNREGISTERED: Final = "what the call of its class takes: the class is in no table of Kiln's"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan",
        help="show what would be warmed up, without loading weights",
        usage="python -m model plan [--model MODEL] [--json] [settings]",
        description="Show the warmup plan of a server with these settings. Reads the model's "
        "configuration, and none of its weights.",
        epilog="Exit status: 0, or 2 for settings that do not fit the model, 4 for no model. Next: "
        "python -m model warmup, which runs the plan.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_flags(parser)
    parser.set_defaults(run=run, parser=parser)


def run(given: argparse.Namespace) -> int:
    """Print the plan; the exit status."""
    settings = settings_of(given).settings
    from ..pipelines.inspection import describe_folder
    from ..pipelines.location import locate

    model = describe_folder(locate(settings.model, weights=False))
    found = document(model, settings)
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 0


def document(model: ModelDescription, settings: Settings) -> dict[str, Any]:
    """The plan as JSON.

    Raises:
        InvalidSettings: the settings do not fit the model.
    """
    from ..warmup.plan import build_plan

    server = settings.warmup_mode is WarmupMode.SERVER
    plan = build_plan(model, settings) if server else ()
    defaults = model.defaults
    return {
        "model": settings.model,
        "pipeline": model.pipeline,
        "family": model.family,
        "registered": model.registered,
        "revision": model.revision,
        "mode": settings.warmup_mode,
        "tasks": list(model.tasks),
        "alignment": model.alignment,
        "frame_step": model.frames.step if model.frames else None,
        "defaults": {
            name: {"value": value, "source": defaults.sources[name]}
            for name, value in defaults.values().items()
        },
        "shapes": [_shape(each) for each in plan],
        "only_after_loading": [*ONLY_AFTER_LOADING, *([] if model.registered else [UNREGISTERED])],
    }


def _shape(request: GenerationRequest) -> dict[str, Any]:
    shape = request.shape
    return {
        "shape": str(shape),
        "task": shape.task,
        "width": shape.width,
        "height": shape.height,
        "frames": shape.frames,
        "batch": shape.batch,
        "cfg": shape.cfg,
        "images_in": len(request.images) + len(request.last_images),
        "videos_in": len(request.videos),
        "steps": request.sampling.num_inference_steps,
    }


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    known = found["family"] if found["registered"] else "no family that Kiln knows"
    console.print(f"{found['pipeline']} ({known}), revision {found['revision']}")
    defaults = Table("default", "value", "from", box=None)
    for name, each in found["defaults"].items():
        defaults.add_row(name, json.dumps(each["value"]), each["source"])
    console.print(defaults)
    if not found["shapes"]:
        console.print(f"\nNothing would be warmed up before Ready: warmup_mode is {found['mode']}.")
        return
    shapes = Table("shape", "steps", "pictures in", "videos in", box=None, title_justify="left")
    for each in found["shapes"]:
        counts = (each["steps"], each["images_in"], each["videos_in"])
        shapes.add_row(each["shape"], *(str(number) for number in counts))
    console.print(f"\nTo be warmed up, in this order ({len(found['shapes'])}):")
    console.print(shapes)
    console.print("\nKnown only once the model is loaded:")
    for each in found["only_after_loading"]:
        console.print(f"  {each}")
    console.print("\nNext: python -m model warmup, with the same settings, runs it.")
