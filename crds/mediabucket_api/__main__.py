"""`python -m mediabucket_api [DIRECTORY]` writes the CustomResourceDefinitions, by default into `crds/`."""

import sys
from pathlib import Path

from mediabucket_api.crd import crd_files


def main(arguments: list[str]) -> None:
    directory = Path(arguments[0] if arguments else "crds")
    for name, content in crd_files().items():
        (directory / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
