"""Liveness that means it: what makes the process unhealthy, on a clock of the test's own."""

import threading
import urllib.error
import urllib.request

from mediabucket_operator import metrics
from mediabucket_operator.health_server import HealthServer
from mediabucket_operator.liveness import SILENT_WATCH_SECONDS, STALLED_LOOP_SECONDS, STUCK_VISIT_SECONDS, Pulse

WATCH = "/apis/mediabucket.dev/v1alpha1/mediabuckets"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def pulse_with(clock: Clock) -> Pulse:
    pulse = Pulse(clock)
    pulse.loop_turned()
    pulse.watch_heard(WATCH)
    return pulse


def test_all_is_well_at_first_and_while_everything_moves() -> None:
    clock = Clock()
    assert Pulse(clock).problems() == []
    pulse = pulse_with(clock)
    for _ in range(100):
        clock.now += 10
        pulse.loop_turned()
        pulse.watch_heard(WATCH)
        assert pulse.problems() == []


def test_a_stalled_loop_is_told() -> None:
    clock = Clock()
    pulse = pulse_with(clock)
    clock.now += STALLED_LOOP_SECONDS + 1
    assert pulse.problems() == ["the event loop has stalled for 21 s"]


def test_a_silent_watch_is_told_by_its_path_and_within_90_seconds() -> None:
    clock = Clock()
    pulse = pulse_with(clock)
    pulse.watch_heard("/apis/apps/v1/deployments")
    clock.now += SILENT_WATCH_SECONDS + 1
    pulse.loop_turned()
    pulse.watch_heard("/apis/apps/v1/deployments")
    assert pulse.problems() == [f"nothing came from the watch {WATCH} for 76 s"]
    # Bookmarks come once a minute; a probe every 15 seconds that must fail twice would still be later than this.
    assert 60 < SILENT_WATCH_SECONDS < 90


def test_a_visit_is_stuck_only_when_nothing_answers_it() -> None:
    clock = Clock()
    pulse = pulse_with(clock)
    with pulse.visiting("MediaBucket team/media"):
        for _ in range(10):
            clock.now += STUCK_VISIT_SECONDS - 1
            pulse.progress()
            pulse.loop_turned()
            pulse.watch_heard(WATCH)
        # Ten minutes, and never stuck: a slow store is no reason to restart.
        assert pulse.problems() == []
        clock.now += STUCK_VISIT_SECONDS + 1
        pulse.loop_turned()
        pulse.watch_heard(WATCH)
        assert pulse.problems() == ["the visit to MediaBucket team/media has made no progress for 76 s"]
    assert pulse.problems() == []


def test_progress_of_one_thread_is_not_that_of_another() -> None:
    clock = Clock()
    pulse = pulse_with(clock)
    entered, leave = threading.Event(), threading.Event()

    def stuck() -> None:
        with pulse.visiting("MediaBucket team/stuck"):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=stuck)
    thread.start()
    entered.wait(10)
    with pulse.visiting("MediaBucket team/busy"):
        clock.now += STUCK_VISIT_SECONDS + 1
        pulse.progress()
        pulse.loop_turned()
        pulse.watch_heard(WATCH)
        assert pulse.problems() == ["the visit to MediaBucket team/stuck has made no progress for 76 s"]
    leave.set()
    thread.join()


def test_health_is_told_from_a_thread_of_its_own() -> None:
    problems: list[str] = []
    server = HealthServer.start("127.0.0.1", 0, lambda: problems)
    try:
        url = f"http://127.0.0.1:{server.port}"
        assert _get(f"{url}/healthz") == (200, "ok\n")
        problems.append("nothing came from the watch")
        assert _get(f"{url}/healthz") == (503, "nothing came from the watch\n")
        metrics.RECONCILES.labels("MediaBucket", "success").inc()
        status, told = _get(f"{url}/metrics")
        assert status == 200
        assert 'controller_runtime_reconcile_total{controller="MediaBucket",result="success"}' in told
        assert _get(f"{url}/elsewhere")[0] == 404
    finally:
        server.stop()


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
