"""Every metric of the server, with labels and buckets. ``docs/reference/metrics.md`` is made of it.

Warmup requests are counted in the warmup metrics only (W28). No label holds anything that a client
chooses: the number of series is bounded by the model's shapes and the outcomes below.
"""

from itertools import product
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from ..contract.state import State

# Diffusion: from a tenth of a second on the embedded model to half an hour for a long video.
REQUEST_BUCKETS: Final = (
    *(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0),
    *(45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 1800.0),
)
STEP_BUCKETS: Final = (
    *(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0),
    *(10.0, 30.0, 60.0),
)
HOP_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, *REQUEST_BUCKETS)
PROTOCOLS: Final = ("v1", "v2-rest", "v2-grpc", "remote-vae", "stages")
OUTCOMES: Final = (
    "ok",
    "invalid",
    "rejected",
    "not_ready",
    "cancelled",
    "deadline",
    "failed",
    "engine_lost",
)
# The fields of ``Compilations``, and the label of each.
WARMTHS: Final = ("warm", "cold")
COMPILE_KINDS: Final = {"compiles": "compile", "recompiles": "recompile", "autotunes": "autotune"}


class Metrics:
    """The metrics of one server process. The default registry is KServe's too, so that its own
    histograms appear beside ours.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self.state = Gauge(
            "kiln_state", "1 for the state that the server is in.", ["state"], registry=registry
        )
        self.startup = Gauge(
            "kiln_startup_seconds",
            "Seconds from the process' start to each milestone: live, loaded, warm, ready.",
            ["milestone"],
            registry=registry,
        )
        self.warmup_planned = Gauge(
            "kiln_warmup_shapes", "Shapes in the warmup plan.", registry=registry
        )
        self.warmup_done = Gauge(
            "kiln_warmup_shapes_done", "Shapes whose warmup has ended.", registry=registry
        )
        self.warmup_failed = Gauge(
            "kiln_warmup_failed", "1 when warmup failed and the server went on.", registry=registry
        )
        self.warmup_degraded = Gauge(
            "kiln_warmup_degraded_shapes",
            "Planned shapes for which memory did not suffice: smaller ones are warm instead.",
            registry=registry,
        )
        self.warmup_pass = Gauge(
            "kiln_warmup_pass_seconds",
            "Seconds of each warmup pass.",
            ["shape", "number"],
            registry=registry,
        )
        self.first_over_steady = Gauge(
            "kiln_first_over_steady",
            "First warmup pass over the last: what the first user would have paid.",
            ["shape"],
            registry=registry,
        )
        self.queue_depth = Gauge(
            "kiln_queue_depth", "Requests that wait for the engine.", registry=registry
        )
        self.in_flight = Gauge(
            "kiln_requests_in_flight", "Requests accepted and not answered.", registry=registry
        )
        self.requests = Counter(
            "kiln_requests", "Requests by protocol and outcome.", ["protocol", "outcome"],
            registry=registry,
        )  # fmt: skip
        # Prometheus sees no increase in a counter that begins with its first event.
        for protocol, outcome in product(PROTOCOLS, OUTCOMES):
            self.requests.labels(protocol, outcome)
        self.request_seconds = Histogram(
            "kiln_request_seconds",
            "Seconds from arrival to answer of requests that succeeded.",
            ["protocol"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "kiln_stage_seconds",
            "Seconds by stage: queue, prepare (text and image encoders), denoise, decode (VAE), "
            "encode (PNG, JPEG, ...).",
            ["stage"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.step_seconds = Histogram(
            "kiln_step_seconds", "Seconds of one denoising step.", buckets=STEP_BUCKETS,
            registry=registry,
        )  # fmt: skip
        self.images = Counter("kiln_images", "Pictures drawn for users.", registry=registry)
        self.cold = Counter(
            "kiln_cold_shape_requests",
            "Requests whose shape no warmup had proven.",
            registry=registry,
        )
        self.compiles = Counter(
            "kiln_compiles_after_ready",
            "What torch compiled, recompiled or autotuned for requests after Ready. The target is "
            "0: warmup should have done it.",
            ["kind"],
            registry=registry,
        )
        for kind in COMPILE_KINDS.values():
            self.compiles.labels(kind)
        self.eager = Counter(
            "kiln_eager_requests",
            "Requests of a server that compiles, parts of which ran uncompiled, since no code "
            "fitted. Of warm shapes the target is 0; cold ones are served so.",
            ["shape"],
            registry=registry,
        )
        for warmth in WARMTHS:
            self.eager.labels(warmth)
        self.prompt_cache_hits = Counter(
            "kiln_prompt_cache_hits",
            "Texts of users' requests that no text encoder had to read.",
            registry=registry,
        )
        self.prompt_cache_misses = Counter(
            "kiln_prompt_cache_misses",
            "Texts of users' requests that a text encoder read.",
            registry=registry,
        )
        self.prompt_cache_bytes = Gauge(
            "kiln_prompt_cache_bytes",
            "Device memory that holds encoded prompts.",
            registry=registry,
        )
        self.replicas = Gauge(
            "kiln_replicas",
            "Router: replicas of each role by state. proven ones take work; away: proven, and not "
            "serving now.",
            ["role", "state"],
            registry=registry,
        )
        self.role_seconds = Histogram(
            "kiln_role_seconds",
            "Router: seconds from sending a role its stage to having the result, the wait for a "
            "replica included.",
            ["role"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.hop_seconds = Histogram(
            "kiln_hop_seconds",
            "Router: of kiln_role_seconds, what the role did not compute: waiting, and the way.",
            ["role"],
            buckets=HOP_BUCKETS,
            registry=registry,
        )
        self.hop_bytes = Counter(
            "kiln_hop_bytes",
            "Router: bytes of tensors sent to a role, and received from it.",
            ["role", "direction"],
            registry=registry,
        )
        self.stage_retries = Counter(
            "kiln_stage_retries",
            "Router: stages that a replica lost and another one did.",
            ["role"],
            registry=registry,
        )
        self.device_memory = Gauge(
            "kiln_device_memory_peak_bytes",
            "Most device memory that a request took, 0 on a CPU.",
            registry=registry,
        )

    def set_state(self, state: State) -> None:
        """1 for ``state``, 0 for all others."""
        for each in State:
            self.state.labels(each).set(each is state)
