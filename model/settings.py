"""Every knob of the server, once. Values come from flags, the environment (``KILN_...``), a config
file and the defaults, in that order (W02); ``configuration`` merges them.

The description of a field is its documentation: ``--help`` and the reference page are made of it.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .contract.compilation import CompileMode
from .contract.roles import WORKERS, Role
from .contract.warmup import OnFailure, UnwarmedShapes, WarmupMode
from .setting_values import (
    BatchSizes,
    Loras,
    Networks,
    Overrides,
    Resolutions,
    Tasks,
    UrlHosts,
)

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1024)]

MIB = 1024 * 1024
ADDRESSES = "dns://NAME:PORT or HOST:PORT,..."


def _knob(group: str, description: str, *, written: str = "") -> dict[str, Any]:
    """``written``: how a value that is no plain number or word is written."""
    return {"description": description, "json_schema_extra": {"group": group, "written": written}}


class Settings(BaseModel):
    """What one server process was told. Frozen: nothing changes it after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    # -- model -------------------------------------------------------------------------------
    model: str = Field(
        "embedded://",
        **_knob(
            "Model",
            "What to serve: embedded:// (the small model that ships with Kiln), the path of a "
            "diffusers folder, or hf://ORGANISATION/NAME[@REVISION].",
        ),
    )
    model_name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$|^$",
        **_knob(
            "Model",
            "The name in URLs, /v2/models/NAME. Empty: the last part of the model, or 'embedded'.",
        ),
    )
    role: Role = Field(
        Role.MONOLITHIC,
        **_knob(
            "Model",
            "The part this server plays. monolithic runs the whole pipeline. encoder, denoiser and "
            "decoder load their components only and serve a router, which loads no model and leads "
            "requests through them.",
        ),
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        **_knob("Model", "Where the pipeline runs: auto (a GPU if there is one), cpu, cuda:N."),
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        **_knob("Model", "Type of the weights. auto: bfloat16 on a GPU, float32 on a CPU."),
    )
    engines: Count = Field(
        1,
        **_knob(
            "Model",
            "Engine processes, each with the whole model on a GPU of its own, counted from "
            "--device on; on a CPU they share it. One queue serves them all, and Ready is when "
            "all are warm.",
        ),
    )
    cfg_parallel: bool = Field(
        False,
        **_knob(
            "Model",
            "Draw each picture by two devices: of every step, each computes one of the two passes "
            "of classifier-free guidance. An engine then has two processes, on consecutive GPUs; "
            "on a CPU they share it. Every request must be guided, and models without a second "
            "pass are refused.",
        ),
    )
    torch_threads: int = Field(
        0,
        ge=0,
        **_knob("Model", "CPU threads of the engine; 0: as many as the process may use."),
    )
    compile: CompileMode = Field(
        CompileMode.OFF,
        **_knob(
            "Model",
            "What torch compiles while the server warms up. regional: the denoiser's repeated "
            "blocks, in seconds. full: the whole denoiser and the VAE's decoder, in minutes on a "
            "large model, for the fastest steps. Once Ready, nothing compiles: what no compiled "
            "code fits runs uncompiled.",
        ),
    )
    loras: Loras = Field(
        {},
        **_knob(
            "Model",
            "LoRA adapters, loaded with the model and off until PUT /v2/models/NAME/adapter "
            "chooses one. Each change of the weights is followed by a warmup.",
            written="NAME=FILE.safetensors,...",
        ),
    )
    prompt_cache_bytes: int = Field(
        256 * MIB,
        ge=0,
        **_knob(
            "Model",
            "Device memory in bytes for what the text encoders made of prompts: a negative prompt "
            "is encoded once. 0: every prompt is encoded anew.",
        ),
    )
    cache_dir: Path | None = Field(
        None,
        **_knob(
            "Model",
            "Folder for compiled code. A second start on the same kind of machine finds there what "
            "the first compiled. The variables TORCHINDUCTOR_CACHE_DIR and TRITON_CACHE_DIR go "
            "before it.",
        ),
    )

    # -- warmup ------------------------------------------------------------------------------
    warmup_mode: WarmupMode = Field(
        WarmupMode.SERVER,
        **_knob(
            "Warmup",
            "server: requests that the server builds for itself run before it says Ready. "
            "request: a short copy of the first user request runs before it. off: nothing runs, "
            "and the first user pays.",
        ),
    )
    warmup_steps: int = Field(
        2,
        ge=1,
        **_knob(
            "Warmup",
            "Steps of a warmup request. At least two run whatever this says, since the first step "
            "and later ones take different paths.",
        ),
    )
    warmup_resolutions: Resolutions = Field(
        (),
        **_knob(
            "Warmup",
            "Sizes to warm up, in place of the model's default. Each is combined with each batch "
            "size and task.",
            written="WIDTHxHEIGHT,...",
        ),
    )
    warmup_num_frames: Count | None = Field(
        None,
        **_knob(
            "Warmup",
            "Frames of a warmup video. Without it, the model's default, but at most 17. It must "
            "fit the model, and models of pictures have none.",
            written="N",
        ),
    )
    warmup_batch_sizes: BatchSizes = Field(
        (1,),
        **_knob(
            "Warmup",
            "Pictures of one request that are warmed up together, at each size.",
            written="N,...",
        ),
    )
    warmup_tasks: Tasks = Field(
        (),
        **_knob(
            "Warmup",
            "What to warm up of all that the model does, such as "
            "text-to-image,image-to-image. Empty: what its pipeline's class does itself.",
            written="TASK,...",
        ),
    )
    warmup_sampling_params: Overrides = Field(
        {},
        **_knob(
            "Warmup",
            "Sampling values of the warmup requests, in place of the model's defaults, such as "
            '{"guidance_scale": 1}. A guidance that users switch off is another shape.',
            written="JSON",
        ),
    )
    warmup_report_path: Path | None = Field(
        None,
        **_knob(
            "Warmup", "A file that gets the warmup report as JSON when warmup ends, either way."
        ),
    )
    unwarmed_shapes: UnwarmedShapes = Field(
        UnwarmedShapes.ALLOW,
        **_knob(
            "Warmup",
            "allow: a request whose shape no warmup has proven is served, and labelled cold_shape. "
            "reject: it gets a 400 with the shapes that are warm.",
        ),
    )
    warmup_request_timeout: PositiveSeconds = Field(
        600.0,
        **_knob(
            "Warmup", "Seconds one warmup request may take. Compiling a large model takes minutes."
        ),
    )
    startup_timeout: PositiveSeconds = Field(
        1800.0,
        **_knob(
            "Warmup",
            "Seconds from the start to Ready. Later than that is a failure: a stuck device must "
            "not be waited for. Startup probes derive from it.",
        ),
    )
    warmup_on_failure: OnFailure = Field(
        OnFailure.ABORT,
        **_knob(
            "Warmup",
            "abort: the process ends with the reason. degraded: it turns Ready and says so in "
            "metadata, metrics and readiness answers. ready: it turns Ready, and only the warmup "
            "report tells.",
        ),
    )
    gate_hold: Seconds = Field(
        0.0,
        **_knob(
            "Warmup",
            "Seconds that a request which comes before Ready is held, in case Ready comes in time, "
            "before it gets its 503. 0: answer at once.",
        ),
    )

    # -- requests ----------------------------------------------------------------------------
    queue_size: Count = Field(
        64,
        **_knob("Requests", "Requests that may wait for the engine. One more gets a 429."),
    )
    request_timeout: PositiveSeconds = Field(
        600.0,
        **_knob(
            "Requests",
            "Seconds from arrival to answer when the request names no timeout_s, and the most it "
            "may name.",
        ),
    )
    step_timeout: PositiveSeconds = Field(
        120.0,
        **_knob(
            "Requests",
            "Seconds that one denoising step, or the work before the first or after the last, may "
            "take once the server is Ready. Longer means that the engine hangs: the process ends.",
        ),
    )
    max_images: Count = Field(
        16, **_knob("Requests", "Pictures in one request: prompts times num_images_per_prompt.")
    )
    max_frames: Count = Field(
        512, **_knob("Requests", "Frames in one request: videos times num_frames.")
    )
    max_steps: Count = Field(1000, **_knob("Requests", "Largest num_inference_steps."))
    max_pixels: Count = Field(
        2048 * 2048, **_knob("Requests", "Largest width times height, of outputs and of inputs.")
    )
    max_video_pixels: Count = Field(
        2**27,
        **_knob(
            "Requests", "Largest input video: width times height times the frames taken of it."
        ),
    )
    max_prompt_characters: Count = Field(
        10_000, **_knob("Requests", "Longest prompt. A text encoder uses far less of it.")
    )
    output_format: Literal["png", "jpeg", "webp", "avif", "raw"] = Field(
        "png",
        **_knob(
            "Requests",
            "Format of pictures when the request names none. Videos come as mp4, or raw where this "
            "is raw.",
        ),
    )
    image_url_hosts: UrlHosts = Field(
        (),
        **_knob(
            "Requests",
            "Hosts from which pictures are fetched that a request names by address: names, "
            "*.DOMAIN for all below one, or * for every public host; https alone, but for those "
            "that are written with http://. Empty: nothing is fetched.",
            written="HOST[:PORT],...",
        ),
    )
    image_url_networks: Networks = Field(
        (),
        **_knob(
            "Requests",
            "Ranges of addresses that the hosts of image_url_hosts may have besides public ones.",
            written="10.0.0.0/8,...",
        ),
    )
    image_url_timeout: PositiveSeconds = Field(
        10.0,
        **_knob("Requests", "Seconds that fetching the pictures of one request may take, in all."),
    )
    file_metadata: bool = Field(
        True,
        **_knob(
            "Requests",
            "Whether a file says how it was made: model, revision, seed, steps and size, never the "
            "prompt. PNG has it in the text chunk 'parameters', JPEG, WebP and AVIF in EXIF's "
            "ImageDescription, MP4 in its comment.",
        ),
    )
    max_partial_images: int = Field(
        3,
        ge=0,
        le=3,
        **_knob(
            "Requests",
            "Of the OpenAI-compatible API: most partial images of a streamed answer, each of which "
            "the VAE decodes once more. 0: none, and warmup does not prepare them.",
        ),
    )
    lenient: bool = Field(
        False,
        **_knob(
            "Requests",
            "Of the OpenAI-compatible API: ignore fields that are unknown or not supported, and "
            "name them in the answer's header Kiln-Ignored-Fields. Otherwise they are errors.",
        ),
    )
    encode_threads: Count = Field(
        2, **_knob("Requests", "Threads that encode pictures, off the event loop.")
    )

    # -- jobs --------------------------------------------------------------------------------
    jobs_dir: Path | None = Field(
        None,
        **_knob(
            "Jobs",
            "Folder on a volume for what /v1/videos is asked for and answers with: jobs survive a "
            "restart there. One server uses it at a time. Without it, jobs end with the server.",
        ),
    )
    jobs_ttl: PositiveSeconds = Field(
        86_400.0,
        **_knob("Jobs", "Seconds after its end that a job and its video are kept."),
    )
    max_jobs: Count = Field(100, **_knob("Jobs", "Jobs that may wait or run. One more gets a 429."))
    max_jobs_per_user: Count = Field(
        20,
        **_knob(
            "Jobs",
            "Jobs of one user that may wait or run: of one API key, and of one 'user' where "
            "requests name it.",
        ),
    )

    # -- network -----------------------------------------------------------------------------
    host: str = Field("0.0.0.0", **_knob("Network", "Address that both ports bind."))  # noqa: S104
    http_port: Port = Field(8080, **_knob("Network", "Port of the REST protocols."))
    grpc_port: Port = Field(8081, **_knob("Network", "Port of the gRPC protocol."))
    enable_grpc: bool = Field(True, **_knob("Network", "Whether the gRPC port opens."))
    max_body_bytes: Bytes = Field(
        32 * MIB, **_knob("Network", "Largest REST body in bytes. A larger one gets a 413.")
    )
    grpc_max_receive_message_length: Bytes = Field(
        32 * MIB, **_knob("Network", "Largest gRPC request in bytes.")
    )
    grpc_max_send_message_length: Bytes = Field(
        256 * MIB, **_knob("Network", "Largest gRPC answer in bytes.")
    )
    ssl_certfile: Path | None = Field(
        None, **_knob("Network", "Certificate (PEM) for both ports. Needs ssl_keyfile.")
    )
    ssl_keyfile: Path | None = Field(None, **_knob("Network", "Key (PEM) of ssl_certfile."))

    # -- roles -------------------------------------------------------------------------------
    encoders: str = Field(
        "",
        **_knob(
            "Roles",
            "Router: where the encoders are. dns://NAME:PORT is every address that DNS has for "
            "the name of a headless Service, asked for again and again; otherwise a list.",
            written=ADDRESSES,
        ),
    )
    denoisers: str = Field(
        "", **_knob("Roles", "Router: where the denoisers are.", written=ADDRESSES)
    )
    decoders: str = Field(
        "", **_knob("Roles", "Router: where the decoders are.", written=ADDRESSES)
    )
    role_token_file: Path | None = Field(
        None,
        **_knob(
            "Roles",
            "File with the token that roles show each other. Several lines: the first is shown, "
            "all are taken, so that one can replace another. Without it, nobody is asked for one.",
        ),
    )
    role_ca_file: Path | None = Field(
        None,
        **_knob(
            "Roles",
            "Certificates (PEM) that the router trusts: it speaks TLS with the other roles, whose "
            "certificates (--ssl-certfile) are for the names in --encoders, --denoisers and "
            "--decoders. Without it, it speaks in the clear.",
        ),
    )
    stage_max_bytes: Bytes = Field(
        256 * MIB,
        **_knob(
            "Roles",
            "Most bytes of tensors that one role takes from another at once. More is refused by "
            "what is announced, before it is sent.",
        ),
    )
    stage_max_tensors: Count = Field(
        256, **_knob("Roles", "Most tensors that one role takes from another at once.")
    )
    replica_check_interval: PositiveSeconds = Field(
        1.0,
        **_knob("Roles", "Router: seconds between two looks at each replica, and at its name."),
    )
    replica_max_stages: Count = Field(
        4,
        **_knob(
            "Roles",
            "Router: stages that a replica has at once. One is computed while others arrive and "
            "leave.",
        ),
    )
    replica_wait: Seconds = Field(
        10.0,
        **_knob(
            "Roles",
            "Router: seconds that a request waits for a role of which no replica can take work, "
            "before it gets a 503. For a replica that is busy it waits until its deadline.",
        ),
    )

    # -- life --------------------------------------------------------------------------------
    drain_delay: Seconds = Field(
        5.0,
        **_knob(
            "Life",
            "Seconds between SIGTERM (NotReady at once) and closing the ports: the time that load "
            "balancers need to notice. Requests are served meanwhile. Ctrl-C skips it.",
        ),
    )
    drain_timeout: Seconds = Field(
        60.0,
        **_knob(
            "Life",
            "Seconds that running requests get to finish once the ports are closed. The pod's "
            "terminationGracePeriodSeconds must exceed drain_delay + drain_timeout.",
        ),
    )
    termination_message_path: Path = Field(
        Path("/dev/termination-log"),
        **_knob(
            "Life",
            "Where the reason of a failure is written, for 'kubectl describe pod'. Skipped when it "
            "neither exists nor can be made.",
        ),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", **_knob("Life", "Least severity that is logged.")
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", **_knob("Life", "auto: json, unless the log goes to a terminal.")
    )

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("ssl_certfile and ssl_keyfile go together: give both or neither")
        for path in (self.ssl_certfile, self.ssl_keyfile):
            if path is not None and not path.is_file():
                raise ValueError(f"ssl_certfile, ssl_keyfile: there is no file {str(path)!r}")
        return self

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.enable_grpc and self.http_port == self.grpc_port != 0:
            raise ValueError(f"http_port and grpc_port are both {self.http_port}")
        return self

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        if self.role in WORKERS and not self.enable_grpc:
            raise ValueError(
                f"enable_grpc: a server of role {self.role} gets its work over gRPC; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _check_ranks(self) -> Self:
        if self.cfg_parallel and self.device == "mps":
            raise ValueError(
                "cfg_parallel needs two devices, and mps is one; leave it out, or use --device cpu"
            )
        return self

    @model_validator(mode="after")
    def _check_plan(self) -> Self:
        for each in self.warmup_resolutions:
            if each.area > self.max_pixels:
                raise ValueError(
                    f"warmup_resolutions: {each} has {each.area} pixels, and max_pixels lets "
                    f"requests have {self.max_pixels}; raise max_pixels, or leave the size out"
                )
        largest = max(self.warmup_batch_sizes)
        if largest > self.max_images:
            raise ValueError(
                f"warmup_batch_sizes: {largest} is above max_images {self.max_images}, the most "
                "that a request may ask for; raise max_images, or leave the batch size out"
            )
        return self

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        given = [each for each in ("encoders", "denoisers", "decoders") if getattr(self, each)]
        if given and self.role is not Role.ROUTER:
            raise ValueError(
                f"{given[0]}: only a router sends stages to others; use --role router, or leave "
                "it out"
            )
        return self

    @model_validator(mode="after")
    def _check_report_path(self) -> Self:
        path = self.warmup_report_path
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise ValueError(
                f"warmup_report_path: {str(path)!r} must be a file in a folder that exists"
            )
        return self

    @property
    def served_name(self) -> str:
        """The name in URLs."""
        if self.model_name:
            return self.model_name
        scheme, _, place = self.model.rpartition("://")
        if scheme == "hf":
            place = place.partition("@")[0]
        last = place.rstrip("/").rpartition("/")[2]
        cleaned = re.sub(r"[^A-Za-z0-9._-]", "-", last).lstrip("._-")
        return cleaned[:100] or ("embedded" if self.model.startswith("embedded://") else "model")

    @property
    def ranks(self) -> int:
        """Processes of each engine."""
        return 2 if self.cfg_parallel else 1

    @property
    def tls(self) -> bool:
        return self.ssl_certfile is not None
