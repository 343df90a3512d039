"""Somebody who creates, edits and deletes MediaBuckets all the time, and knows what must come out."""

import base64
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kube_cluster import KubeCluster
from kube_platform import Platform
from operator_process import condition, eventually, media_bucket

from mediabucket_api.constants import CONFIRM_DESTROY_ANNOTATION
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.connect import administration_client
from mediabucket_s3.errors import BucketMissing, S3Error

COUNT = 100
# At once, of those: SeaweedFS takes longer for every call to IAM the more users it has.
ALIVE = 24
CROWD = "crowd"
POLICIES = ("Retain", "DeleteIfEmpty", "Destroy")


@dataclass
class Crowd:
    """Somebody who creates, edits and deletes MediaBuckets all the time, from a seed, and knows what must come out."""

    kube: KubeCluster
    store: SeaweedFS
    dice: random.Random
    living: dict[str, dict[str, Any]] = field(default_factory=dict)
    retained: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)

    def bucket(self, name: str) -> str:
        return f"{CROWD}-{name}"

    def create(self, names: list[str]) -> None:
        for name in names:
            policy = POLICIES[int(name[-2:]) % len(POLICIES)]
            document = media_bucket(name, CROWD, "store", deletionPolicy=policy, cors=self._origins())
            document["metadata"]["annotations"] = {CONFIRM_DESTROY_ANNOTATION: self.bucket(name)}
            self.living[name] = document
        self._apply(names)
        self.done["created"] += len(names)

    def edit(self, at_most: int) -> None:
        names = self.dice.sample(sorted(self.living), min(at_most, len(self.living)))
        for name in names:
            self.living[name]["spec"]["cors"] = self._origins()
        self._apply(names)
        self.done["edited"] += len(names)

    def delete(self, at_most: int) -> None:
        """One under Retain only when its bucket is there: else nobody could say whether it must be there afterwards."""
        names = self.dice.sample(sorted(self.living), min(at_most, len(self.living)))
        found = self.kube.list("mb", CROWD)
        owned = {one["metadata"]["name"] for one in found if _status(one).get("ownership", {}).get("state") == "Owned"}
        for name in names:
            policy = self.living[name]["spec"]["deletionPolicy"]
            if policy == "Retain" and name not in owned:
                continue
            # What lies in a bucket that is made and not yet marked makes it somebody else's, who was faster.
            if policy == "Destroy" and name in owned and not self._upload_to(name):
                continue
            if policy == "Retain":
                self.retained.add(self.bucket(name))
            del self.living[name]
            self.deleted.add(name)
            self.kube.kubectl("delete", f"mb/{name}", "-n", CROWD, "--wait=false")
            self.done[f"deleted under {policy}"] += 1

    def not_converged(self) -> list[str]:
        found = {one["metadata"]["name"]: one for one in self.kube.list("mb", CROWD)}
        wrong = [f"{name} is still there" for name in sorted(found.keys() - self.living.keys())]
        for name in sorted(self.living):
            ready = condition(found[name], "Ready")
            up_to_date = _status(found[name]).get("observedGeneration") == found[name]["metadata"]["generation"]
            if not up_to_date or ready.get("status") != "True":
                wrong.append(f"{name}: {ready.get('reason')}, {ready.get('message')}")
        return wrong

    def _apply(self, names: list[str]) -> None:
        if names:
            self.kube.apply(*(self.living[name] for name in names))

    def _origins(self) -> dict[str, Any]:
        return {"allowedOrigins": [f"https://{self.dice.randrange(10**6)}.example.com"]}

    def _upload_to(self, name: str) -> bool:
        """Whether the upload is over: one that was given up may still be under way, and end when its bucket is gone."""
        admin = BucketAdmin.connect(self.store.connection, self.bucket(name))
        try:
            admin.write_object("uploads/a", b"a", "text/plain")
        except BucketMissing:
            return True
        except S3Error:
            self.done["given up"] += 1
            return False
        return True


def _status(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document.get("status", {})
    return found


class Actor:
    """Acts in a thread of its own, as fast as the kills go on: so many are created for each."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._names = [f"media-{number:02}" for number in range(COUNT)]
        self._may_create = 0
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._act)

    def __enter__(self) -> "Actor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def let_create(self, count: int) -> None:
        self._may_create += count

    def has_created(self) -> bool:
        if self._error is not None:
            raise self._error
        return self._crowd.done["created"] >= self._may_create

    def _act(self) -> None:
        try:
            while not self._stop.is_set():
                crowd = self._crowd
                room = min(self._may_create - crowd.done["created"], ALIVE - len(crowd.living))
                if room > 0:
                    crowd.create([self._names.pop(0) for _ in range(room)])
                crowd.edit(3)
                if self._names and len(crowd.living) > ALIVE // 2:
                    crowd.delete(3)
                self._stop.wait(crowd.dice.uniform(0.1, 0.8))
        except BaseException as error:
            self._error = error


def require_exactly(platform: Platform, crowd: Crowd) -> None:
    """The buckets, users and keys that must be there, and no others; and the last edit of each."""
    client = administration_client(platform.store.connection)
    expected = {crowd.bucket(name) for name in crowd.living} | crowd.retained

    def buckets() -> bool:
        found = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        assert found == expected, f"lost {sorted(expected - found)}, too many {sorted(found - expected)}"
        return True

    eventually(buckets)
    for name, document in crowd.living.items():
        origins = platform.admin(crowd.bucket(name)).get_cors()[0]["AllowedOrigins"]
        assert origins == document["spec"]["cors"]["allowedOrigins"]
    require_one_key_each(platform)


def require_one_key_each(platform: Platform) -> None:
    uids = {one["metadata"]["uid"]: one["metadata"]["name"] for one in platform.kube.list("mb", CROWD)}
    admin = platform.identities()

    def users() -> list[str]:
        found = admin.list_users("mediabucket-")
        assert sorted(user[-36:] for user in found) == sorted(uids)
        return found

    for user in eventually(users, seconds=30, every=0.5):
        secret = platform.kube.get("secret", f"{uids[user[-36:]]}-media", CROWD)
        key_id = base64.b64decode(secret["data"]["AWS_ACCESS_KEY_ID"]).decode()
        assert [key.access_key_id for key in admin.list_access_keys(user)] == [key_id]
