"""Tables of figures."""

from benchmarks.bars import Bar, markdown, markdown_table


def test_words_stand_left_and_numbers_right():
    text = markdown_table(["what", "n", "note"], [["a", "1", "x"], ["b", "2", "y"]], (0, 2))
    assert text.splitlines() == ["| what | n | note |", "| --- | --: | --- |", "| a | 1 | x |", "| b | 2 | y |"]


def test_bars():
    lines = markdown([Bar("a", 1.2, 1.1, unit="mm", digits=2)]).splitlines()
    assert lines[1] == "| --- | --: | --: | --- | --- |" and lines[2] == "| a | 1.20 mm | <= 1.10 mm | missed |  |"
