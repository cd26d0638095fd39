"""The tables of the protocol page: request parameters and errors."""

from collections.abc import Iterator

from model import errors
from model.errors import RequestError, StartupError
from model.pipelines.parameters import PARAMETERS, Parameter

from .tables import table

STARTS = "<!-- generated: {} -->\n"
ENDS = "<!-- end -->\n"


def render(page: str) -> str:
    """``page`` with its generated parts made anew; the text around them is written by hand.

    Raises:
        ValueError: a part that the page does not have.
    """
    for name, part in (("parameters", parameters()), ("errors", request_errors())):
        before, _, rest = page.partition(STARTS.format(name))
        _, end, after = rest.partition(ENDS)
        if not end:
            raise ValueError(f"the page has no part {STARTS.format(name).strip()} ... {ENDS}")
        page = f"{before}{STARTS.format(name)}\n{part}\n{ENDS}{after}"
    return page


def parameters() -> str:
    """Every request parameter."""
    header = ("parameter", "type", "tensor", "values", "meaning")
    return table(
        header,
        [
            (f"`{each.name}`", each.kind.__name__, each.datatype, _values(each), each.description)
            for each in PARAMETERS
        ],
    )


def request_errors() -> str:
    """Every error that a request may meet, by the class that carries it."""
    header = ("REST", "gRPC", "error", "`Retry-After`")
    rows = [
        (str(each.http_status), f"`{each.grpc_code}`", f"`{each.__name__}`", _retry(each))
        for each in sorted(_request_errors(), key=lambda each: each.http_status)
    ]
    return table(header, rows)


def exit_codes() -> dict[str, int]:
    """Exit status by start-up error."""
    return {
        name: each.exit_code
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, StartupError) and each is not StartupError
    }


def _request_errors() -> Iterator[type[RequestError]]:
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, RequestError) and each is not RequestError:
            yield each


def _retry(error: type[RequestError]) -> str:
    # Some take the seconds when they are raised.
    raised_with = "retry_after" in getattr(error.__init__, "__annotations__", ())
    return "yes" if raised_with or error.retry_after is not None else ""


def _values(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{each}`" for each in parameter.choices)
    if parameter.low is not None and parameter.high is not None:
        return f"{_number(parameter.low)} to {_number(parameter.high)}"
    return f"{_number(parameter.low)} or more" if parameter.low is not None else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)
