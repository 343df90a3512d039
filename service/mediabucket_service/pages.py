"""The page at `/`: upload files and send them in a message, as a chat app's front end would."""

from importlib.resources import files

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from mediabucket_api.connection import BucketConnection
from mediabucket_s3.addressing import bucket_address
from mediabucket_service import client_files

WEB_FOLDER = files("mediabucket_service") / "web"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index(request: Request) -> Response:
    """The page itself; its script and style are under `/web`."""
    return Response(
        (WEB_FOLDER / "index.html").read_bytes(),
        media_type="text/html; charset=utf-8",
        headers={
            "Content-Security-Policy": request.app.state.content_security_policy,
            "Referrer-Policy": "no-referrer",
        },
    )


def content_security_policy(connection: BucketConnection) -> str:
    """Own scripts only; bytes go to and come from the store or the CDN, and nowhere else."""
    store = bucket_address(
        connection.store.public_endpoint, connection.bucket, connection.store.addressing_style
    ).origin
    cdn = connection.spec.cdn.url_of("")
    media = " ".join(filter(None, ("'self'", store, cdn)))
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {store};"
        f" img-src {media} blob: data:; media-src {media} blob:; form-action 'none'; base-uri 'none';"
        " frame-ancestors 'none'"
    )


def install_pages(app: FastAPI, connection: BucketConnection) -> None:
    """Serve the page and what it loads."""
    app.state.content_security_policy = content_security_policy(connection)
    app.include_router(router)
    app.include_router(client_files.router)
    app.mount("/web", StaticFiles(packages=[("mediabucket_service", "web")]), name="web")
