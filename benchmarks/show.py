"""Print a report as a table."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .hardware import Hardware
from .quiet import DISTURBING
from .report import Report, Row

# Where the output is no terminal, and nobody can make it wider.
PLAIN_WIDTH = 160


def console() -> Console:
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def show(report: Report, hardware: Hardware, to: Console) -> None:
    to.print()
    to.print(f"[bold]{report.scenario}: {escape(report.question)}[/bold]")
    to.print(f"[dim]{escape(str(hardware))}[/dim]")
    to.print(_circumstances(report), style="dim")
    if disturbance := _disturbance(report):
        to.print(disturbance, style="bold red")
    to.print(table_of(report.findings.rows))
    for goal in report.findings.goals:
        to.print(f"  {escape(str(goal))}", style="green" if goal.met else "red")
    for note in report.findings.notes:
        to.print(f"  {escape(note)}", style="dim")


def table_of(rows: tuple[Row, ...]) -> Table:
    """One row for each subject, and a column for whatever was measured of any."""
    columns = list(dict.fromkeys(name for row in rows for name in row.samples))
    table = Table("", *columns)
    for row in rows:
        cells = (str(row.samples[name]) if name in row.samples else "" for name in columns)
        table.add_row(escape(row.subject), *cells)
    return table


def _circumstances(report: Report) -> str:
    quick = " QUICK: these numbers only show that everything runs." if report.quick else ""
    return (
        f"medians (min..max); {report.findings.repetitions}; load average {report.load_before} "
        f"before.{quick}"
    )


def _disturbance(report: Report) -> str | None:
    if report.others is None or report.others <= DISTURBING:
        return None
    return f"DISTURBED: other processes kept {report.others} cores busy meanwhile. Measure again."
