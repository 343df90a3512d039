"""A manifest that another version of the types wrote: told, and nothing else is touched. See also test_deletion.py."""

from memory_environment import MEDIA, conditions, memory_cluster, put_store

from mediabucket_operator.visit import Environment, visit


def test_a_spec_that_cannot_be_read_is_told_once_and_until_it_can_be(environment: Environment) -> None:
    put_store(environment)
    assert conditions(environment)["Ready"].status == "True"
    cluster = memory_cluster(environment)
    live = cluster.objects[MEDIA]
    others = live["status"]["conditions"][1:]
    live["spec"]["uploads"] = {"maxBytes": "many"}
    cluster.faults.writes.clear()

    assert visit(environment, MEDIA).status is None
    assert cluster.faults.writes == [f"cluster write the status of {MEDIA}"]
    ready, *rest = live["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "SpecUnreadable")
    assert ready["message"].startswith("spec.uploads.maxBytes: ")
    assert ready["message"].endswith(": apply the manifest again")
    assert rest == others, "what else is known stays"
    assert live["status"]["ownership"] == {"state": "Owned", "origin": "Created"}

    visit(environment, MEDIA)
    assert len(cluster.faults.writes) == 1, "once"
    live["spec"]["uploads"] = {"maxBytes": 1000}
    assert conditions(environment)["Ready"].status == "True"
