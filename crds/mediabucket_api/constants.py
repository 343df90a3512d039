"""Every name that more than one program must spell the same way."""

from typing import Final

GROUP: Final = "mediabucket.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
MEDIA_BUCKET_KIND: Final = "MediaBucket"
OBJECT_STORE_KIND: Final = "ObjectStore"

# Clients write here and nowhere else; lifecycle rules and reaper remove what stays.
PENDING_PREFIX: Final = "pending/"
# Never signed for writing: only confirm copies into it.
UPLOADS_PREFIX: Final = "uploads/"

# Rules, statements and CORS entries with this id prefix are ours; all others are foreign and stay.
RULE_ID_PREFIX: Final = "mediabucket-"

OWNER_TAG: Final = f"{GROUP}/owner-uid"
OWNER_NAME_TAG: Final = f"{GROUP}/owner"
# Names are unique within a cluster only.
OWNER_CLUSTER_TAG: Final = f"{GROUP}/cluster"
# Says who owns the bucket on stores without bucket tags.
OWNER_MARKER_KEY: Final = ".mediabucket/owner.json"

# Keeps a deleted MediaBucket until its deletion policy has been carried out.
FINALIZER: Final = f"{GROUP}/bucket-protection"

# What a person says once, beside the spec.
RECREATE_ANNOTATION: Final = f"{GROUP}/recreate"
CONFIRM_DESTROY_ANNOTATION: Final = f"{GROUP}/confirm-destroy"
ABANDON_ANNOTATION: Final = f"{GROUP}/abandon"
PROBE_ANNOTATION: Final = f"{GROUP}/probe"
ROTATE_ANNOTATION: Final = f"{GROUP}/rotate-credentials"
