"""No code block is forgotten: it is marked as runnable, or stands here with the reason why it cannot run."""

from document_blocks import DOCUMENTS, LANGUAGES, Block, blocks_of

OPERATED = "names of a cluster in trouble stand for NAMESPACE and NAME"
PLACEHOLDERS = "names of the reader's own servers and secrets stand in it"
TO_BE_MARKED = "not marked yet"

# How the first line of a block begins, by document, and why the block does not run.
UNMARKED = {
    "README.md": {
        "make demo": "runs every test of the repository",
        "make dev": "runs until Ctrl-C",
        "const digest": "test_front_end.py runs it in a browser",
        ".venv/bin/mediabucket upload": TO_BE_MARKED,
        "from mediabucket.client": TO_BE_MARKED,
        ".venv/bin/mediabucket plan": TO_BE_MARKED,
        "helm install": TO_BE_MARKED,
        "helm upgrade": TO_BE_MARKED,
        "export AWS_ENDPOINT_URL_S3": PLACEHOLDERS,
        ".venv/bin/python -m mediabucket_service": PLACEHOLDERS,
        "make help": "measures and checks the whole repository",
    },
    "service/mediabucket_service/web/client/README.md": {
        "import { createClient }": PLACEHOLDERS,
        "import Uppy": "needs the package of Uppy",
    },
}


def unmarked_blocks() -> list[Block]:
    found = [block for document in DOCUMENTS for block in blocks_of(document)]
    return [block for block in found if block.language in LANGUAGES and block.kind is None]


def reason_of(block: Block) -> str | None:
    if block.document.startswith("docs/runbooks/"):
        return OPERATED
    known = UNMARKED.get(block.document, {})
    return next((reason for start, reason in known.items() if block.code.startswith(start)), None)


def test_every_block_runs_or_has_a_reason() -> None:
    assert [block.place for block in unmarked_blocks() if reason_of(block) is None] == []


def test_no_reason_outlives_its_block() -> None:
    found = unmarked_blocks()
    starts = [(document, start) for document, known in UNMARKED.items() for start in known]
    assert [
        (document, start)
        for document, start in starts
        if not any(block.document == document and block.code.startswith(start) for block in found)
    ] == []
