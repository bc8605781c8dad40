"""Signals: at once where nothing stands, noted where something does, and once only."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from controller.interruption import SIGNALS, Asked, Interrupted, deferred, interruptible

each_signal = pytest.mark.parametrize("number", SIGNALS)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Leave signals as they were: who was interrupted goes on ignoring them."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@each_signal
def test_the_first_signal_interrupts_and_further_ones_change_nothing(
    number: signal.Signals,
) -> None:
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(number)
    for each in SIGNALS:
        signal.raise_signal(each)


@each_signal
def test_a_deferred_signal_is_noted_and_acted_on_at_the_end(number: signal.Signals) -> None:
    steps: list[object] = []

    def work(asked: Asked) -> None:
        steps.append(bool(asked))
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGINT)
        steps.extend((bool(asked), asked.signal_number))

    with pytest.raises(Interrupted), interruptible(), deferred() as asked:
        work(asked)
    assert steps == [False, True, number]


def test_a_fault_in_the_block_does_not_hide_that_somebody_asked_to_stop() -> None:
    def fail() -> None:
        signal.raise_signal(signal.SIGINT)
        raise OSError("gone")

    with pytest.raises(Interrupted) as caught, interruptible(), deferred():
        fail()
    assert isinstance(caught.value.__context__, OSError)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_while_an_object_is_collected_is_not_lost() -> None:
    class Collected:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted), interruptible():
        Collected()


def test_without_a_signal_all_is_as_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with interruptible(), deferred() as asked:
        assert not asked
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_deferring_outside_a_command_leaves_ctrl_c_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def defer() -> None:
        with deferred() as asked:
            seen.append((bool(asked), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=defer)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
