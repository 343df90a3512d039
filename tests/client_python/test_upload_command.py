"""`mediabucket upload` as a person and as a script run it."""

import asyncio
import json
import os
import pty
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from python_client import World, film, picture
from scripted_faults import Fault, Refuse
from upload_client import make_token

PROGRAM = Path(sys.executable).with_name("mediabucket")
ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


@dataclass(frozen=True)
class Ran:
    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines()]


def environment(world: World | None, **changes: str) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MEDIABUCKET_")}
    told = {} if world is None else {"MEDIABUCKET_URL": world.url, "MEDIABUCKET_TOKEN": make_token("alice")}
    return bare | told | changes


async def run(world: World | None, *arguments: str | Path, **changes: str) -> Ran:
    """In a directory of its own, with neither a terminal nor a development platform."""
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "upload", *arguments),
        env=environment(world, **changes),
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, output.decode(), errors.decode())


async def test_files_are_uploaded_with_a_line_each(world: World, tmp_path: Path) -> None:
    files = [picture(tmp_path, name="a.png", salt=b"a"), film(tmp_path, parts=2)]
    ran = await run(world, *files)
    assert ran.status == 0, ran.errors
    assert sorted(line.split()[:2] for line in ran.errors.splitlines()) == [
        ["uploaded", "a.png"],
        ["uploaded", "film.mp4"],
    ]
    assert ESCAPE not in ran.errors
    assert ran.output == ""

    again = await run(world, *files)
    assert [line.split()[0] for line in again.errors.splitlines()] == ["known", "known"]
    assert again.status == 0


async def test_json_has_a_line_for_each_file_and_the_exit_code_tells_of_failures(world: World, tmp_path: Path) -> None:
    good = picture(tmp_path, name="good.png")
    refused = tmp_path / "notes.html"
    refused.write_text("<p>")
    missing = tmp_path / "missing.png"
    ran = await run(world, "--json", good, refused, missing)
    assert ran.status == 1
    by_file = {Path(line["file"]).name: line for line in ran.lines}
    assert by_file["good.png"]["media"]["status"] == "completed"
    assert by_file["good.png"]["existed"] is False
    assert httpx.get(by_file["good.png"]["media"]["url"]).content == good.read_bytes()
    assert by_file["notes.html"]["error"]["type"] == "urn:mediabucket:problem:type-not-allowed"
    assert by_file["missing.png"]["error"]["type"] == "FileNotFoundError"
    # Reasons are for a person, in a line each.
    reasons = sorted(ran.errors.splitlines())
    assert len(reasons) == 2
    assert reasons[0] == "failed    missing.png: No such file or directory; check the path"
    assert reasons[1].startswith("failed    notes.html: files of type text/html are not allowed")


async def test_a_failing_store_is_told_in_a_line_that_ends_with_what_to_do(world: World, tmp_path: Path) -> None:
    world.store.always = Refuse(400, "EntityTooLarge")
    ran = await run(world, picture(tmp_path))
    assert (ran.status, ran.errors) == (
        1,
        "failed    picture.png: the store answered 400, EntityTooLarge: as the test says; show this to those who run"
        " the service; the same again will not help\n",
    )


async def test_a_service_that_is_away_and_a_directory_are_told_with_what_to_do(tmp_path: Path) -> None:
    ran = await run(None, "--url", "http://127.0.0.1:9", "--token", "x", tmp_path, picture(tmp_path))
    assert ran.status == 1
    directory, away = sorted(ran.errors.splitlines(), key=lambda line: "picture.png" in line)
    assert directory == f"failed    {tmp_path.name}: Is a directory; name the files in it"
    assert away.startswith("failed    picture.png: the API cannot be reached: ")
    assert away.endswith("; check the network and the address, then run the same command again: what has arrived is not"
                         " sent twice")  # fmt: skip


async def test_a_killed_upload_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    file = film(tmp_path, parts=8)
    # The fifth part and all after it hang in retries.
    world.store.faults.extend([*[None] * 4, *[Refuse(503, headers={"Retry-After": "20"})] * 99])
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "upload", file), env=environment(world), stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        while len(world.store.parts()) < 6 or len(await arrived_parts(world)) < 4:
            await asyncio.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    arrived = await arrived_parts(world)
    assert len(arrived) == 4

    world.store.faults.clear()
    world.store.requests.clear()
    ran = await run(world, "--json", file)
    assert ran.status == 0, ran.errors
    assert arrived.isdisjoint(world.store.parts())
    assert arrived | set(world.store.parts()) == set(range(1, 9))
    assert httpx.get(ran.lines[0]["media"]["url"]).content == file.read_bytes()


async def arrived_parts(world: World) -> set[int]:
    """What the API says of the only upload that there is."""
    headers = {"Authorization": f"Bearer {make_token('alice')}"}
    async with httpx.AsyncClient(base_url=world.url, headers=headers) as http:
        [pending] = (await http.get("/api/media", params={"status": "pending"})).json()["items"][:1]
        progress = (await http.get(f"/api/media/{pending['media_id']}/parts")).json()
    return {part["part_number"] for part in progress["parts"] if part["arrived"]}


async def test_ctrl_c_ends_with_a_word_and_no_traceback(world: World, tmp_path: Path) -> None:
    world.store.always = Refuse(503, headers={"Retry-After": "60"})
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "upload", picture(tmp_path)), env=environment(world), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        while not world.store.asked("PUT"):
            await asyncio.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert process.returncode == 130
    assert errors.decode() == "stopped; the same command goes on from here\n"


@pytest.mark.parametrize("no_colour", ["", "1"])
async def test_a_terminal_sees_bars_and_colours_as_it_wants_them(world: World, tmp_path: Path, no_colour: str) -> None:
    faults: list[Fault] = [Refuse(503, headers={"Retry-After": "1"})]
    world.store.faults.extend(faults)
    changes = {"TERM": "xterm-256color", "COLUMNS": "120", "NO_COLOR": no_colour}
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "upload", picture(tmp_path)),
        env=environment(world, **changes),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    seen = await asyncio.to_thread(_all_of, leader)
    assert await process.wait() == 0
    assert "━" in seen
    assert "picture.png" in seen
    # One bar for the file, one for all.
    assert "all" in seen
    assert "uploaded" in seen
    assert bool(COLOUR.search(seen)) == (not no_colour)


def _all_of(terminal: int) -> str:
    """What is written until nobody has the other side open, which Linux tells by EIO."""
    seen = b""
    try:
        while chunk := os.read(terminal, 65_536):
            seen += chunk
    except OSError:
        pass
    finally:
        os.close(terminal)
    return seen.decode()


async def test_a_name_cannot_drive_the_terminal(world: World, tmp_path: Path) -> None:
    file = picture(tmp_path, name="a\x1b[2Jb\n.png")
    ran = await run(world, file)
    assert ran.status == 1
    assert ESCAPE not in ran.errors
    assert len(ran.errors.splitlines()) == 1


async def test_where_and_who_are_asked_for(tmp_path: Path, world: World) -> None:
    file = picture(tmp_path)
    nowhere = await run(None, file)
    assert (nowhere.status, nowhere.errors.partition("?")[0]) == (1, "error: where to")
    nobody = await run(None, "--url", world.url, file)
    assert (nobody.status, nobody.errors.partition("?")[0]) == (1, "error: who are you")
    no_address = await run(None, "--url", "example.com", "--token", "x", file)
    assert no_address.status == 1
    assert "must be a URL such as" in no_address.errors
    given = await run(None, "--url", world.url, "--token", make_token("alice"), file)
    assert given.status == 0
