"""One module for each side of a bucket that a manifest describes.

An aspect reads the whole document, knows which entries of it are ours, and merges what is wanted into it: what others
put there stays. It never decides whether to write: `run` in `base` does, for all of them alike.
"""
