"""Makes a bucket what its MediaBucket says, and says how far that went.

`reconcile` knows nothing of Kubernetes: the operator calls it, and so does the `mediabucket` command without a cluster.
Decisions are pure functions; only `mediabucket_s3` talks to a store.
"""
