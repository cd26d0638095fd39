"""Every scenario by the number of its goal; the operator, which has several, by its name. A new one
takes its place in ``SCENARIOS``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ..effort import Effort, Tell
from ..report import Findings
from ..subject import Subject
from . import (
    hop,
    operator,
    p01_first_request,
    p03_second_start,
    p04_server_tax,
    p10_encoding,
    p14_embedded,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """``text``: the module's docstring. Its first line is the question."""

    text: str
    measure: Callable[[Effort, Subject, Tell], Findings]
    # Whether it can be asked about any model, or only about the one that ships with Kiln.
    any_model: bool = False

    @property
    def question(self) -> str:
        return self.text.strip().splitlines()[0]


SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "P1": Scenario(p01_first_request.__doc__ or "", p01_first_request.measure, any_model=True),
        "P3": Scenario(p03_second_start.__doc__ or "", p03_second_start.measure, any_model=True),
        "P4": Scenario(p04_server_tax.__doc__ or "", p04_server_tax.measure),
        "P10": Scenario(p10_encoding.__doc__ or "", p10_encoding.measure),
        "P14": Scenario(p14_embedded.__doc__ or "", p14_embedded.measure),
        "hop": Scenario(hop.__doc__ or "", hop.measure),
        "operator": Scenario(operator.__doc__ or "", operator.measure),
    }
)
