"""What is written and what is only counted, by the clock that the caller brings."""

from broker.folding import Folded, Folds, Key

KEY: Key = ("attempt", (("error_id", "MB-3202"),))
OTHER: Key = ("attempt", (("error_id", "MB-3203"),))


def test_the_first_of_a_window_is_never_kept_back() -> None:
    folds = Folds(most=2, window=60.0)
    assert [folds.tell(KEY, 0.0) for _ in range(5)] == [True, True, False, False, False]
    assert folds.tell(OTHER, 0.0)
    assert folds.over(59.9) == []
    assert folds.over(60.0) == [Folded(key=KEY, count=3)]
    assert folds.tell(KEY, 60.0)


def test_a_window_that_kept_nothing_back_says_nothing() -> None:
    folds = Folds(most=2, window=60.0)
    assert folds.tell(KEY, 0.0)
    assert folds.over(0.0, all=True) == []


def test_no_more_windows_are_open_than_fit_whoever_knocks() -> None:
    folds = Folds(most=1, window=60.0, keys=3)
    for number in range(100):
        folds.over(0.0)
        assert folds.tell(("x", (("client", number),)), 0.0)
        assert len(folds._open) <= 3
