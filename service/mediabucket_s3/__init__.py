"""The S3 adapter: the only package that talks to an object store.

No other package imports boto3, botocore or aiobotocore, and none of their exceptions leaves this one:
every failure is an S3Error. Nothing here knows of media, manifests or Kubernetes.
"""
