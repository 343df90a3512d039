"""IAM users of a store: https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_api.constants import PENDING_PREFIX, UPLOADS_PREFIX
from mediabucket_s3.answers import AnswerListener
from mediabucket_s3.connect import identity_client
from mediabucket_s3.errors import (
    IdentityExists,
    IdentityMissing,
    InvalidRequest,
    NotImplementedByStore,
    StoreUnavailable,
    translated_s3_errors,
)

Document = dict[str, Any]


@dataclass(frozen=True)
class AccessKeyInfo:
    """What a store tells of an access key."""

    access_key_id: str
    created: datetime | None = None
    active: bool = True


@dataclass(frozen=True)
class NewAccessKey:
    """The only time that the secret is told."""

    access_key_id: str
    secret_access_key: SecretStr = field(repr=False)


# By the end of the S3 endpoint's host name.
_AWS_IAM = {
    ".amazonaws.com": "https://iam.amazonaws.com",
    ".amazonaws.com.cn": "https://iam.cn-north-1.amazonaws.com.cn",
}


class IdentityAdmin:
    """The users of one store, seen by whoever provisions buckets. Synchronous; safe to share between threads.

    Every method raises S3Error: AccessDenied, StoreUnavailable and Throttled always may occur, NotImplementedByStore
    where the store has no IAM, IdentityMissing where there is no such user.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(
        cls, connection: StoreConnection, endpoint: str | None = None, on_answer: AnswerListener | None = None
    ) -> Self:
        """`endpoint` is that of IAM, if it is not the store's. `on_answer` is called after each attempt of a call."""
        return cls(identity_client(connection, endpoint or iam_endpoint_of(connection.endpoint), on_answer))

    def user_exists(self, user: str) -> bool:
        try:
            self._call("GetUser", self._client.get_user, user)
        except IdentityMissing:
            return False
        return True

    def create_user(self, user: str, tags: dict[str, str]) -> None:
        """Create the user, with its tags where the store takes them; one that is there already is no error."""
        tag_set = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        try:
            self._create_user(user, {"Tags": tag_set} if tag_set else {})
        except (InvalidRequest, NotImplementedByStore):
            if not tag_set:
                raise
            self._create_user(user, {})

    def _create_user(self, user: str, arguments: Document) -> None:
        try:
            self._call("CreateUser", self._client.create_user, user, **arguments)
        except IdentityExists:
            return

    def delete_user(self, user: str) -> None:
        """Delete the user with its keys and policies; one that is gone is no error. May be repeated after a crash."""
        try:
            for key in self.list_access_keys(user):
                self.delete_access_key(user, key.access_key_id)
            for name in self._list_policies(user):
                self.delete_policy(user, name)
            self._call("DeleteUser", self._client.delete_user, user)
        except IdentityMissing:
            return

    def list_users(self, prefix: str) -> list[str]:
        """The names of all users that begin so, sorted."""
        pages = self._pages("ListUsers", self._client.list_users, prefix)
        names = [str(user["UserName"]) for page in pages for user in page.get("Users", [])]
        return sorted(name for name in names if name.startswith(prefix))

    def get_policy(self, user: str, name: str) -> Document | None:
        """The user's inline policy of this name, None without one. Raises IdentityMissing without the user.

        SeaweedFS makes one up, of all that the user may do, for a name that only other policies do not have.
        """
        try:
            answer = self._call("GetUserPolicy", self._client.get_user_policy, user, PolicyName=name)
        except IdentityMissing:
            # The same answer for a user and for a policy that is not there.
            if self.user_exists(user):
                return None
            raise
        document: Document = _told("GetUserPolicy", user, answer, "PolicyDocument")
        # Text is what is no JSON: nothing that could allow anything.
        return document if isinstance(document, dict) else {}

    def put_policy(self, user: str, name: str, document: Document) -> None:
        """Write the user's inline policy of this name. Raises InvalidRequest for one that the store cannot read."""
        text = json.dumps(document)
        self._call("PutUserPolicy", self._client.put_user_policy, user, PolicyName=name, PolicyDocument=text)

    def delete_policy(self, user: str, name: str) -> None:
        """One that is gone is no error, nor is a user that is."""
        try:
            self._call("DeleteUserPolicy", self._client.delete_user_policy, user, PolicyName=name)
        except IdentityMissing:
            return

    def _list_policies(self, user: str) -> list[str]:
        pages = self._pages("ListUserPolicies", self._client.list_user_policies, user, UserName=user)
        return [str(name) for page in pages for name in page.get("PolicyNames", [])]

    def list_access_keys(self, user: str) -> list[AccessKeyInfo]:
        """All keys of the user. For a user that is not there SeaweedFS tells of none instead of IdentityMissing."""
        pages = self._pages("ListAccessKeys", self._client.list_access_keys, user, UserName=user)
        return [
            AccessKeyInfo(str(key["AccessKeyId"]), key.get("CreateDate"), key.get("Status", "Active") == "Active")
            for page in pages
            for key in page.get("AccessKeyMetadata", [])
        ]

    def create_access_key(self, user: str) -> NewAccessKey:
        """Raises LimitReached: AWS allows two keys a user.

        After StoreUnavailable there may be a key that nobody knows of: `list_access_keys` tells.
        """
        operation = "CreateAccessKey"
        answer = self._call(operation, self._client.create_access_key, user)
        made = _told(operation, user, answer, "AccessKey")
        secret = SecretStr(_told(operation, user, made, "SecretAccessKey"))
        return NewAccessKey(_told(operation, user, made, "AccessKeyId"), secret)

    def delete_access_key(self, user: str, access_key_id: str) -> None:
        """One that is gone is no error, nor is a user that is."""
        try:
            self._call("DeleteAccessKey", self._client.delete_access_key, user, AccessKeyId=access_key_id)
        except IdentityMissing:
            return

    def _call(self, operation: str, method: Callable[..., Document], user: str, **arguments: Any) -> Document:
        with translated_s3_errors(operation, user):
            return method(UserName=user, **arguments)

    def _pages(
        self, operation: str, method: Callable[..., Document], resource: str, **arguments: str
    ) -> Iterator[Document]:
        while True:
            with translated_s3_errors(operation, resource):
                page = method(**arguments)
            yield page
            if not page.get("IsTruncated") or not page.get("Marker"):
                return
            arguments["Marker"] = page["Marker"]


def _told(operation: str, user: str, answer: Document, name: str) -> Any:
    if not answer.get(name):
        raise StoreUnavailable(operation, "NoResult", HTTPStatus.OK, f"the answer lacks {name}", user)
    return answer[name]


# Multipart uploads go by other names where IAM was written after S3's operations instead of its permissions.
LIST_PARTS = ("s3:ListMultipartUploadParts", "s3:ListParts")
# SeaweedFS asks for AWS's permission and refuses a policy that names it: all lists of this one bucket, then.
LIST_UPLOADS = ("s3:ListBucketMultipartUploads", "s3:List*")

ABORT = "s3:AbortMultipartUpload"
# The second for versions: what is erased leaves none behind.
DELETE = ("s3:DeleteObject", "s3:DeleteObjectVersion")


def iam_endpoint_of(endpoint: str) -> str:
    """Where a store's IAM is, unless somebody says otherwise: at the store itself, but for AWS, which has it elsewhere.

    https://docs.aws.amazon.com/general/latest/gr/iam-service.html
    """
    host = urlsplit(endpoint).hostname or ""
    for suffix, iam in _AWS_IAM.items():
        if host.endswith(suffix):
            return iam
    return endpoint


def bucket_access_policies(bucket: str) -> tuple[Document, ...]:
    """`bucket_access_policy` in AWS's words, and in those of stores that refuse them."""
    dialects = zip(LIST_PARTS, LIST_UPLOADS, strict=True)
    return tuple(bucket_access_policy(bucket, list_parts, list_uploads) for list_parts, list_uploads in dialects)


def bucket_access_policy(bucket: str, list_parts: str = LIST_PARTS[0], list_uploads: str = LIST_UPLOADS[0]) -> Document:
    """What the upload service needs of one bucket, and nothing else.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
    """
    arn = f"arn:aws:s3:::{bucket}"
    pending, uploads = f"{arn}/{PENDING_PREFIX}*", f"{arn}/{UPLOADS_PREFIX}*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("Signing", ["s3:PutObject", list_parts], [pending]),
            # Above 5 GiB a copy is a multipart upload of its own: one that failed has to be aborted.
            _allow("Finishing", ["s3:GetObject", "s3:PutObject", ABORT, *DELETE], [pending, uploads]),
            _allow("Listing", ["s3:ListBucket", "s3:ListBucketVersions", list_uploads], [arn]),
        ],
    }


def _allow(sid: str, actions: list[str], resources: list[str]) -> Document:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
