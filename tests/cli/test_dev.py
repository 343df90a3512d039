"""`mediabucket dev` on a busy machine, through changes, crashes and stops."""

import os
import signal
import stat
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml
from development_process import PROGRAM, Dev, eventually


def test_it_serves_though_the_usual_ports_are_taken(running: Dev) -> None:
    ready = running.ready
    assert not ready["api_url"].endswith(":8000")
    assert httpx.get(f"{ready['api_url']}/readyz").json()["status"] == "ok"
    assert running.initiate().status_code == 200


def test_the_ready_file_holds_everything_and_is_private(running: Dev) -> None:
    ready = running.ready
    assert set(ready) == {
        *("api_url", "token", "s3_endpoint", "bucket", "region", "access_key_id", "secret_access_key"),
        *("database_url", "jwt_secret", "service_pid", "manifest"),
    }
    assert ready["bucket"] == "default-chat-media"
    assert ready["manifest"] == str(running.manifest)
    assert stat.S_IMODE(running.ready_file.stat().st_mode) == 0o600


def test_the_panel_shows_a_command_that_works(running: Dev) -> None:
    for line in (running.ready["api_url"], "/docs", running.ready["s3_endpoint"], str(running.data)):
        assert line in running.output
    command = running.output[running.output.index("curl ") :].partition("\n─")[0]
    answer = subprocess.run(["bash", "-c", f"{command} --silent"], capture_output=True, text=True, check=True).stdout
    assert '"upload_url"' in answer


def test_nothing_listens_beyond_loopback(running: Dev) -> None:
    inodes = {target for process in running.processes() for target in _open_files(process)}
    listening = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()
    ]
    addresses = {line[1].partition(":")[0] for line in listening if line[3] == "0A" and f"socket:[{line[9]}]" in inodes}
    # 127.0.0.1 as the kernel writes it.
    assert addresses == {"0100007F"}


def _open_files(process: int) -> set[str]:
    try:
        return {str(file.readlink()) for file in Path(f"/proc/{process}/fd").iterdir()}
    except FileNotFoundError:
        return set()


def test_a_second_platform_on_the_same_data_is_refused_and_told_of_the_first(running: Dev) -> None:
    ready = running.ready
    command = [str(PROGRAM), "dev", "-f", str(running.manifest), "--data", str(running.data)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"is in use by process {running.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert running.ready == ready


def test_a_changed_manifest_is_followed_and_a_broken_one_is_not(running: Dev) -> None:
    original = running.manifest.read_text()
    running.manifest.write_text("kind: Nonsense")
    eventually(lambda: "the changed manifest is not applied" in running.output, "the problems of the manifest")
    assert running.initiate(file_size=6).status_code == 200

    changed = yaml.safe_load(original)
    changed["spec"]["uploads"]["maxBytes"] = 5
    running.manifest.write_text(yaml.safe_dump(changed))
    eventually(lambda: running.initiate(file_size=6).status_code == 400, "the smaller limit")
    assert running.initiate(file_size=5).status_code == 200

    running.manifest.write_text(original)
    eventually(lambda: running.initiate(file_size=6).status_code == 200, "the larger limit")


def test_a_killed_service_comes_back_at_the_same_address(running: Dev) -> None:
    eventually(lambda: Path(f"/proc/{running.ready['service_pid']}").exists(), "the process id of the last restart")
    before = running.ready
    os.kill(before["service_pid"], signal.SIGKILL)
    assert running.initiate().status_code == 200
    eventually(lambda: running.ready["service_pid"] != before["service_pid"], "the new process id")
    assert running.ready["api_url"] == before["api_url"]


def test_tokens_for_other_users_work(running: Dev) -> None:
    command = [str(PROGRAM), "token", "--sub", "bob", "--data", str(running.data)]
    token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    media_id = running.initiate(token).json()["media_id"]
    assert running.call("GET", f"/api/media/{media_id}", token).status_code == 200
    assert running.call("GET", f"/api/media/{media_id}").status_code == 404


def test_data_outlive_a_crash_and_processes_do_not(dev: Dev) -> None:
    dev.start("--port", "0")
    dev.wait_until_ready()
    media_id = dev.initiate().json()["media_id"]
    dev.send(signal.SIGKILL)
    eventually(lambda: not dev.processes(), "the end of every child")
    dev.ready_file.unlink()

    dev.start("--port", "0")
    dev.wait_until_ready()
    assert dev.call("GET", f"/api/media/{media_id}").json()["media_id"] == media_id
    assert dev.send(signal.SIGINT) == 0
    assert dev.processes() == {}
    assert not dev.ready_file.exists()


def test_a_failing_start_stops_what_it_started(dev: Dev) -> None:
    dev.start("--port", "0", environment={"MEDIABUCKET_REAPER_INTERVAL_SECONDS": "never"})
    assert dev.process.wait(60) == 1
    assert dev.processes() == {}
    assert "reaper_interval_seconds" in dev.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_during_the_start_stops_what_it_started(dev: Dev, number: signal.Signals) -> None:
    dev.start("--port", "0")
    eventually(lambda: "SeaweedFS ready" in dev.output, "the first server")
    assert dev.send(number) == 0
    assert dev.processes() == {}


def test_the_death_of_the_store_ends_the_platform_with_a_word(dev: Dev) -> None:
    dev.start("--port", "0")
    dev.wait_until_ready()
    [store] = [process for process, command in dev.processes().items() if "weed" in command.split()[0]]
    os.kill(store, signal.SIGKILL)
    assert dev.process.wait(60) == 1
    assert "SeaweedFS stopped" in dev.output
    assert dev.processes() == {}
