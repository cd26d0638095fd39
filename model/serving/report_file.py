"""The warmup report as one JSON file, for whoever looks at a pod that has gone, and for
``python -m model warmup --report``.
"""

import json
from pathlib import Path
from typing import Any

from .. import __version__
from ..telemetry.logs import get_logger
from .card import model_metadata
from .context import Serving

log = get_logger(__name__)


def report_document(serving: Serving) -> dict[str, Any]:
    """What the model's metadata says at this moment, with the version that says it."""
    return {"kiln": __version__, **model_metadata(serving)}


def write_report(path: Path, document: dict[str, Any]) -> bool:
    """Write the file whole or not at all; False, and an error in the log, where the folder or the
    disk does not take it. A server that is warm does not end for want of a report."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        log.error("report_not_written", path=str(path), reason=str(error))
        partial.unlink(missing_ok=True)
        return False
    log.info("report_written", path=str(path))
    return True
