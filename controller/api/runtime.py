"""``spec.runtime`` and ``spec.requests``: the server's program, and what it takes on."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from model.contract.flags import OPERATOR_FLAGS

from .base import ApiModel, Duration, Rule, rules


class PullPolicy(StrEnum):
    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    NEVER = "Never"


class CompileMode(StrEnum):
    OFF = "Off"
    REGIONAL = "Regional"
    FULL = "Full"


# Both spellings of each, since the server takes both.
OWNED: Final = "|".join(each.replace("-", "[-_]") for each in sorted(OPERATOR_FLAGS))

ExtraArgument = Annotated[str, Field(pattern=r"^--[a-z][a-z0-9_-]*(=.*)?$", max_length=1024)]


class Runtime(ApiModel):
    """The program that serves the model."""

    image: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="Image of the model server. Without it, the one that the operator was "
        "installed with; it then stays until this spec changes, whatever becomes of the operator.",
    )
    image_pull_policy: PullPolicy = Field(
        PullPolicy.IF_NOT_PRESENT, description="When the image is pulled."
    )
    compile: CompileMode = Field(
        CompileMode.OFF,
        description="What torch compiles while a pod warms up. Regional: the denoiser's repeated "
        "blocks, in seconds. Full: the whole denoiser and the VAE's decoder, in minutes on a large "
        "model, for the fastest steps. Off: nothing. Once Ready, nothing compiles. A lasting "
        "spec.cache keeps the compiled code for the next pod.",
    )
    extra_args: tuple[ExtraArgument, ...] = Field(
        (),
        max_length=64,
        description="More flags of the server, one each, as --flag=value; python -m model serve "
        "--help lists them. Flags that have a field of their own are refused.",
        json_schema_extra=rules(
            Rule(
                f"!self.exists(each, each.matches('^--({OWNED})(=|$)'))",
                "spec.runtime.extraArgs: a flag that the operator sets itself; use the field of "
                "the spec that stands for it. These are set: "
                + " ".join(f"--{each}" for each in sorted(OPERATOR_FLAGS)),
            )
        ),
    )


class Requests(ApiModel):
    """What one pod takes on. A request beyond it is refused at once, and told why."""

    max_queue: int = Field(
        64,
        ge=1,
        le=100_000,
        description="Requests that may wait in one pod. One more gets a 429 with Retry-After.",
    )
    timeout: Duration = Field(
        "10m",
        description="Longest time from arrival to answer. A request may ask for less. Gateways "
        "that KServe configures wait as long.",
        json_schema_extra=rules(
            Rule(
                "duration(self) >= duration('1s') && duration(self) <= duration('24h')",
                "spec.requests.timeout: must be from 1s to 24h",
            )
        ),
    )
    max_pixels: int = Field(
        2048 * 2048,
        ge=1,
        le=2**31 - 1,
        description="Largest width times height, of outputs and of inputs.",
    )
    max_images: int = Field(16, ge=1, le=1024, description="Most pictures of one request.")


class Drain(ApiModel):
    """How a pod ends. Together they make terminationGracePeriodSeconds, with a margin."""

    delay: Duration = Field(
        "5s",
        description="Time between NotReady and closing the ports, in which load balancers take "
        "notice. Requests are served meanwhile.",
        json_schema_extra=rules(
            Rule("duration(self) <= duration('1h')", "spec.drain.delay: must be at most 1h")
        ),
    )
    budget: Duration = Field(
        "60s",
        description="Time that running requests get to finish once the ports are closed.",
        json_schema_extra=rules(
            Rule("duration(self) <= duration('24h')", "spec.drain.budget: must be at most 24h")
        ),
    )
