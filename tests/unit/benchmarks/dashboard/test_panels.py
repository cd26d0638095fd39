"""Panels as the shipped dashboard places them, and their queries as Grafana would ask them."""

from benchmarks.dashboard.panels import Query, panels
from benchmarks.dashboard.prometheus import Series


def test_no_panel_lies_on_another_and_none_beside_the_page() -> None:
    taken = set()
    for panel in panels():
        assert panel.left + panel.width <= 24
        for column in range(panel.left, panel.left + panel.width):
            for line in range(panel.top, panel.top + panel.height):
                assert (column, line) not in taken, panel.title
                taken.add((column, line))


def test_rows_are_headlines_and_everything_else_asks_for_something() -> None:
    found = panels()
    assert [each.title for each in found if not each.queries] == [
        "Readiness",
        "Requests",
        "Roles",
        "Operator",
    ]
    assert len(found) > 20


def test_what_was_chosen_is_filled_in() -> None:
    query = Query("", 'up{namespace=~"$namespace", pod=~"$pod"}')
    assert query.filled() == 'up{namespace=~".*", pod=~".*"}'
    assert query.filled("art", "fox-1") == 'up{namespace=~"art", pod=~"fox-1"}'


def test_a_legend_shows_the_labels_of_the_series() -> None:
    series = Series({"pod": "fox-1"}, {0.0: 1.0})
    assert Query("{{pod}} waiting", "").name(series) == "fox-1 waiting"
    assert Query("{{pod}} {{kind}}", "").name(series) == "fox-1"
