"""Lines of the log while a model is fetched, where no terminal can show a bar."""

from structlog.testing import capture_logs

from model.sources.progress import Lines


def test_a_line_comes_every_ten_seconds_with_the_speed_of_this_run() -> None:
    now = [0.0]
    lines = Lines(3_000_000_000, lambda: now[0])
    with capture_logs() as said:
        for second in range(26):
            now[0] = float(second)
            # A third was there before.
            lines(1_000_000_000 + 50_000_000 * second)
    told = [(each["percent"], each["mb_per_second"], each["eta_s"]) for each in said]
    assert told == [(50.0, 50.0, 30), (66.7, 50.0, 20)]
