import threading
from dataclasses import replace

from engine.messages import AnnotationChanged, Predict, Shutdown, StartTraining, StopTraining
from engine.worker.inbox import Inbox
from engine.worker.pace import Pace
from tests.unit.engine.test_messages import ITEM


def _predict(number: int) -> Predict:
    return Predict(image_id="a", image_path="/a", request_id=number)


def test_commands_come_out_as_they_went_in() -> None:
    inbox = Inbox()
    inbox.post(StopTraining())
    inbox.post(Shutdown())
    assert inbox.take(wait=True) == StopTraining()
    assert inbox.take(wait=False) == Shutdown()
    assert inbox.take(wait=False) is None


def test_the_newest_request_for_a_prediction_wins() -> None:
    inbox = Inbox()
    for command in (_predict(1), StopTraining(), _predict(2), _predict(3)):
        inbox.post(command)
    assert [inbox.take(wait=False) for _ in range(3)] == [StopTraining(), _predict(3), None]


def test_of_several_changes_of_one_image_the_last_is_read() -> None:
    inbox = Inbox()
    other = replace(ITEM, image_id="b.png")
    for item in (ITEM, other, replace(ITEM, revision=4)):
        inbox.post(AnnotationChanged(item=item))
    taken = [inbox.take(wait=False) for _ in range(3)]
    assert taken == [AnnotationChanged(item=other), AnnotationChanged(item=replace(ITEM, revision=4)), None]


def test_long_work_sees_what_is_waiting_and_may_take_a_prediction_out_of_turn() -> None:
    inbox = Inbox()
    assert not inbox.superseded_by(Shutdown)
    inbox.post(StopTraining())
    inbox.post(_predict(1))
    assert inbox.superseded_by(Shutdown, StopTraining)
    assert not inbox.superseded_by(Shutdown, StartTraining)
    assert inbox.take_only(Predict) == _predict(1)
    assert inbox.take_only(Predict) is None
    assert inbox.take(wait=False) == StopTraining()


def test_taking_waits_for_a_command() -> None:
    inbox = Inbox()
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(inbox.take(wait=True)))
    thread.start()
    inbox.post(Shutdown())
    thread.join(60)
    assert taken == [Shutdown()]


def test_what_is_slow_is_done_less_often() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0], 3.0, share=0.25)
    assert not pace.is_due
    now[0] = 3.0
    assert pace.is_due
    pace.begin()
    assert not pace.is_due
    now[0] = 5.0
    pace.end()  # took 2 s, so it may come every 8 s
    now[0] = 10.9
    assert not pace.is_due
    now[0] = 11.0
    assert pace.is_due
