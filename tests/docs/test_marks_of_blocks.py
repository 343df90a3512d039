"""No code block is forgotten: it is marked as runnable, or stands here with the reason why it cannot run."""

from document_blocks import DOCUMENTS, LANGUAGES, Block, blocks_of

OPERATED = "names of a cluster in trouble stand for NAMESPACE and NAME"
PLACEHOLDERS = "names of the reader's own servers and secrets stand in it"

# How the first line of a block begins, by document, and why the block does not run.
UNMARKED = {
    "README.md": {
        "make demo": "CI runs it by itself, and `make dev` runs until Ctrl-C",
        "const { createClient }": "Node imports nothing by HTTP; tests/e2e/test_client_in_browser.py does in a browser",
        ".venv/bin/mediabucket upload": "of the reader's own files; tests/client_python/test_upload_command.py",
        ".venv/bin/mediabucket plan": "of the reader's own manifest; tests/cli/test_plan_apply.py",
        "helm install": "tests/kube/test_readme.py applies its manifests, test_chart_on_server.py installs the chart",
        "helm upgrade": "tests/kube/test_chart_on_server.py",
        "make test": "tests and measures the whole repository",
    },
    "charts/mediabucket/README.md": {
        "helm install": "tests/kube/test_chart_on_server.py",
        "for kind in": "tests/kube/test_chart_on_server.py",
    },
    "CONTRIBUTING.md": {
        "make demo": "tests the whole repository",
        ".venv/bin/pytest": "tests that need a cluster",
    },
    "docs/operations.md": {
        "registry=registry.example.com": "needs a container engine and a registry",
        ".venv/bin/python -m mediabucket_service": PLACEHOLDERS,
    },
    "docs/python-client.md": {"pip install": "installs packages"},
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
