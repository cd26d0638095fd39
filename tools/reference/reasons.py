"""The page "Why is it not Ready", from the operator's own table of reasons."""

from typing import Final

from controller.reasons import TABLE

from .tables import table

HEADER: Final = ("reason", "phase", "what it means", "what to do")
STARTS: Final = "<!-- generated: reasons -->\n"
ENDS: Final = "<!-- end -->\n"


def render(page: str) -> str:
    """``page`` with its tables made anew; the text around them is written by hand.

    Raises:
        ValueError: the page has no place for them.
    """
    before, _, rest = page.partition(STARTS)
    _, end, after = rest.partition(ENDS)
    if not end:
        raise ValueError(f"the page has no part {STARTS.strip()} ... {ENDS}")
    return f"{before}{STARTS}\n{_tables()}\n{ENDS}{after}"


def _tables() -> str:
    parts = [
        ("Wait", [each for each in TABLE if not each.stalled]),
        ("Somebody must do something", [each for each in TABLE if each.stalled]),
    ]
    return "\n".join(
        f"## {title}\n\n"
        + table(
            HEADER,
            [(f"`{each.name}`", f"`{each.phase}`", each.meaning, each.mend) for each in reasons],
        )
        for title, reasons in parts
    )
