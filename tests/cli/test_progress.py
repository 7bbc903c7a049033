import io
import re

from rich.console import Console

from prefect_etl.cli.progress import BarProgress, LineProgress, progress_display


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def lines(clock=None):
    stream = io.StringIO()
    return LineProgress(stream, clock or Clock()), stream


def test_what_is_quick_prints_nothing():
    progress, stream = lines()
    progress.started("extract", "flights", 100)
    progress.advanced("extract", "flights", 100, 3)
    progress.finished("extract", "flights", 3, 1.9)
    assert stream.getvalue() == ""


def test_a_slow_stage_is_told_when_it_is_over():
    progress, stream = lines()
    progress.started("load", "flights", 0)
    progress.finished("load", "flights", 27004, 2.5)
    assert stream.getvalue() == "load flights: 27,004 rows in 2.5 s\n"


def test_a_very_slow_stage_tells_bytes_and_rows_a_second_now_and_then():
    clock = Clock()
    progress, stream = lines(clock)
    progress.started("extract", "flights", 400_000_000)
    for second in range(1, 26):
        clock.now = float(second)
        progress.advanced("extract", "flights", 10_000_000, 100_000)
    assert stream.getvalue().splitlines() == [
        "extract flights: 100 MB of 400 MB, 1,000,000 rows, 100 k rows/s",
        "extract flights: 200 MB of 400 MB, 2,000,000 rows, 100 k rows/s",
    ]


def test_news_of_a_stage_that_never_began_is_ignored():
    progress, stream = lines()
    progress.advanced("extract", "flights", 1, 1)
    assert stream.getvalue() == ""


def shown(bars):
    console = Console(file=io.StringIO(), width=100)
    console.print(*bars._bars.get_renderables())
    return re.sub(r"\s+", " ", console.file.getvalue())


def test_a_bar_appears_after_two_seconds_with_bytes_and_rows_a_second():
    bars = BarProgress()
    clock = bars._bars.get_time = Clock()
    bars.started("extract", "flights", 400_000_000)
    bars._bars.tasks[0]._get_time = clock
    bars.advanced("extract", "flights", 100_000_000, 1_000_000)
    assert shown(bars).strip() == ""
    clock.now = 4.0
    text = shown(bars)
    assert "extract flights" in text
    assert "100 MB of 400 MB, 1,000,000 rows, 250 k rows/s, 4.0 s" in text
    bars.finished("extract", "flights", 1_000_000, 4.0)
    assert shown(bars).strip() == ""


def test_two_stages_have_two_bars():
    bars = BarProgress()
    clock = bars._bars.get_time = Clock()
    bars.started("extract", "a", 10)
    bars.started("extract", "b", 0)
    for task in bars._bars.tasks:
        task._get_time = clock
    bars.advanced("extract", "b", 0, 7)
    clock.now = 3.0
    assert [task.fields["rows"] for task in bars._bars.tasks] == [0, 7]
    assert "7 rows" in shown(bars)


def test_without_a_terminal_there_are_lines():
    with progress_display() as progress:
        assert isinstance(progress, LineProgress)
