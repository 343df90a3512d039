"""The upload service: presigns uploads, verifies and publishes media, keeps messages that refer to them.

No upload byte passes through here, except when a store cannot hash: then confirm streams it, with bounded memory.
Inside a domain folder: endpoints > service > repository > models, schemas. Domains never import each other.
"""
