"""The API types of MediaBucket: what a manifest may say, and what status and outputs answer.

Pydantic models only. Nothing here does I/O beyond reading a manifest file, and nothing here
imports another package of this project.
"""
