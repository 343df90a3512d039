"""Events: one per change of state, in words for people, never longer than the API server takes."""

from datetime import UTC, datetime

from mediabucket_api.status import Condition, ConditionStatus, MediaBucketStatus, PlannedChange
from mediabucket_operator.changes import Change
from mediabucket_operator.event_notes import LONGEST_MESSAGE, Note, event, of_changes, of_plan, of_transitions

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def condition(kind: str, status: str, reason: str = "Reason", message: str = "") -> Condition:
    return Condition(
        type=kind, status=ConditionStatus(status), reason=reason, message=message, last_transition_time=NOW
    )


def reasons(before: list[Condition], after: list[Condition]) -> list[str]:
    return [note.reason for note in of_transitions(before, after)]


def test_nothing_changed_nothing_told() -> None:
    found = [condition("Ready", "False", "NotEmpty"), condition("Drifted", "False")]
    assert reasons(found, found) == []


def test_on_a_first_visit_only_ready_tells_that_all_is_well() -> None:
    assert reasons([], [condition("Ready", "True", "Available"), condition("BucketOwned", "True", "Owned")]) == [
        "Available"
    ]


def test_what_is_wrong_is_told_once_by_the_condition_itself() -> None:
    after = [condition("Ready", "False", "ForeignOwner"), condition("BucketOwned", "False", "ForeignOwner", "whose")]
    assert list(of_transitions([], after)) == [Note("ForeignOwner", "BucketOwned: whose", warning=True)]
    assert reasons(after, after) == []


def test_another_reason_is_another_event_and_another_message_is_none() -> None:
    before = [condition("BucketOwned", "False", "BucketMissing", "a")]
    assert reasons(before, [condition("BucketOwned", "False", "BucketMissing", "b")]) == []
    assert reasons(before, [condition("BucketOwned", "False", "ForeignOwner", "b")]) == ["ForeignOwner"]


def test_a_flip_back_is_told_as_normal() -> None:
    [note] = of_transitions([condition("CorsSynced", "False")], [condition("CorsSynced", "True", "Synced")])
    assert (note.reason, note.warning) == ("Synced", False)


def test_negative_conditions_warn_when_true() -> None:
    [note] = of_transitions([condition("Drifted", "False")], [condition("Drifted", "True", "Differs")])
    assert note.warning


def test_unknown_is_no_news() -> None:
    assert reasons([condition("CorsSynced", "True")], [condition("CorsSynced", "Unknown", "StoreUnreachable")]) == []


def test_drift_is_told_with_the_difference() -> None:
    changes = [Change("cors", "mediabucket-uploads.maxAgeSeconds", 5, 60, applied=True), Change("tags", "a", None, "b")]
    assert list(of_changes(changes, drift=True)) == [
        Note("DriftRepaired", "cors.mediabucket-uploads.maxAgeSeconds changed from 5 to 60")
    ]


def test_a_plan_is_told_when_it_says_something_new() -> None:
    step = PlannedChange(aspect="bucket", path="name", action="Create", after="media")
    before, after = MediaBucketStatus(), MediaBucketStatus(plan=(step,))
    assert [note.message for note in of_plan(before, after)] == ["would create bucket.name"]
    assert list(of_plan(after, after)) == []


def test_a_long_message_is_cut_to_what_the_api_server_takes() -> None:
    about = {"apiVersion": "v1", "kind": "ObjectStore", "metadata": {"name": "main", "uid": "1"}}
    posted = event(about, Note("Long", "x" * 5000), NOW)
    assert len(posted["message"]) == LONGEST_MESSAGE
    assert posted["metadata"]["namespace"] == "default"
