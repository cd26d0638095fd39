"""The names by which settings are written: fields, prefix, shorthand, and KServe's own flags."""

from typing import Final

from ..contract.warmup import WarmupMode
from ..settings import Settings

ENVIRONMENT_PREFIX: Final = "KILN_"
CONFIG_VARIABLE: Final = "KILN_CONFIG"
FIELDS: Final = Settings.model_fields

# W01: the shorthand, which is a spelling of warmup_mode and no field of its own.
SHORTHAND: Final = "warmup"
TRUTHS: Final = {
    "true": WarmupMode.SERVER,
    "1": WarmupMode.SERVER,
    "yes": WarmupMode.SERVER,
    "on": WarmupMode.SERVER,
    "false": WarmupMode.OFF,
    "0": WarmupMode.OFF,
    "no": WarmupMode.OFF,
    "off": WarmupMode.OFF,
}

# W03: flags that KServe's runtimes and operators pass to any server. These mean something here ...
KSERVE_ALIASES: Final = {"model_dir": "model"}
# ... and these do not: accepted, and named in a warning.
KSERVE_IGNORED: Final = (
    "max_threads",
    "max_asyncio_workers",
    "enable_docs_url",
    "enable_latency_logging",
    "configure_logging",
    "log_config_file",
    "access_log_format",
    "event_loop",
    "timeout_keep_alive",
    "predictor_host",
    "protocol",
    "predictor_protocol",
    "predictor_use_ssl",
    "predictor_request_timeout_seconds",
    "predictor_request_retries",
    "enable_predictor_health_check",
)
