"""``python -m model embedded``."""

import argparse

from .parser import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "embedded",
        help="what the embedded model can draw",
        description="List what the embedded model can draw.",
    )
    parser.add_argument("--list", action="store_true", help="print every object by category")
    parser.add_argument(
        "--search", default="", metavar="TEXT", help="only objects with this text in their name"
    )
    parser.set_defaults(run=run, parser=parser)


def run(given: argparse.Namespace) -> int:
    """Print the catalogue, or its categories; the exit status."""
    from ..embedded import list_objects, print_catalogue

    if given.list or given.search:
        print_catalogue(given.search)
        return 0
    categories = [(name, len(members)) for name, members in list_objects()]
    total = sum(count for _, count in categories)
    print(f"The embedded model draws {total} objects:")
    for name, count in categories:
        print(f"  {name} ({count})")
    print("Next: python -m model embedded --list, or --search TEXT")
    return 0
