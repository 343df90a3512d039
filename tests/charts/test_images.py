"""The Dockerfiles, as far as they can be tried without a container engine: their builders run in a directory."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
import zipfile
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from mediabucket_cli.embedded.ports import free_ports
from mediabucket_operator.workload import USER_ID

pytestmark = pytest.mark.takes_minutes(1)

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [ROOT / name for name in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
# The Python client is for other programs: neither image needs it.
PACKAGES = [package for package in PACKAGES if package.parent.name != "client"]
# Folder of the Dockerfile, which is also the extra, to the packages that its program imports.
IMAGES = {
    "operator": ("mediabucket_api", "mediabucket_s3", "mediabucket_operator"),
    "service": ("mediabucket_api", "mediabucket_s3", "mediabucket_service"),
}
# They do something when they are imported.
PROGRAMS = ("mediabucket_service.main", "mediabucket_service.migrations.env")
IMPORT_ALL = """
import importlib, pkgutil, sys
*packages, programs = sys.argv[1:]
for package in packages:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if module.name not in programs.split(",") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


@dataclass(frozen=True)
class Instruction:
    name: str
    text: str


@dataclass(frozen=True)
class Stage:
    base: str
    name: str | None
    instructions: list[Instruction]

    def of(self, name: str) -> list[str]:
        return [instruction.text for instruction in self.instructions if instruction.name == name]


def instructions(image: str) -> list[Instruction]:
    """Of a Dockerfile without parser directives and here-documents."""
    lines = [line for line in dockerfile(image).read_text().splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(name, text) for name, _, text in (line.partition(" ") for line in joined.splitlines())]


def dockerfile(image: str) -> Path:
    return ROOT / image / "Dockerfile"


def stages(image: str) -> list[Stage]:
    found: list[Stage] = []
    for instruction in instructions(image):
        if instruction.name == "FROM":
            base, _, name = instruction.text.partition(" AS ")
            found.append(Stage(base, name or None, []))
        elif found:
            found[-1].instructions.append(instruction)
    return found


def sources(image: str) -> list[tuple[list[str], str]]:
    """What the builder copies out of the repository, and where to."""
    copies = [shlex.split(text) for text in stages(image)[0].of("COPY")]
    return [(words[:-1], words[-1]) for words in copies]


def pins(image: str) -> dict[str, str]:
    """Name to version of what is installed on this machine's Python."""
    text = (ROOT / "requirements" / f"{image}.txt").read_text()
    lines = re.findall(r"^([a-z0-9][^\\\n]*?) *\\$", text, flags=re.MULTILINE)
    found = [Requirement(line) for line in lines]
    assert len(found) > 20
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in found if not pin.marker or pin.marker.evaluate()}


@dataclass(frozen=True)
class Built:
    """What a builder made."""

    image: str
    directory: Path

    @property
    def wheel(self) -> Path:
        [found] = (self.directory / "dist").iterdir()
        return found

    @property
    def programs(self) -> Path:
        return self.directory / "venv" / "bin"

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.programs / "python"), *arguments]
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False, text=True)


def build(image: str, directory: Path) -> Built:
    """Do what the builder does, below a directory; packages are those of this environment instead of the index's."""
    source = directory / "src"
    source.mkdir(parents=True)
    for names, target in sources(image):
        for name in names:
            copy(ROOT / name, source / target / (Path(name).name if target.endswith("/") else ""))
    [venv, packages, build_tools, wheel, project] = stages(image)[0].of("RUN")
    assert f"requirements/{image}.txt" in packages
    assert "requirements/build.txt" in build_tools
    run_in = partial(run_below, directory, variables(stages(image)[0]))
    run_in(venv)
    link_packages(image, next((directory / "venv").glob("lib/python*/site-packages")))
    run_in(wheel)
    run_in(project)
    return Built(image, directory)


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def variables(stage: Stage) -> dict[str, str]:
    return dict(word.split("=", 1) for text in stage.of("ENV") for word in shlex.split(text))


def run_below(directory: Path, environment: dict[str, str], command: str) -> None:
    """A RUN of the builder, its absolute paths below the directory."""
    words = [re.sub(r"^/(?=venv|dist)", f"{directory}/", word) for word in shlex.split(command)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**environment, "PATH": path, "HOME": str(directory)}
    result = subprocess.run(words, cwd=directory / "src", env=environment, capture_output=True, check=False, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def link_packages(image: str, site: Path) -> None:
    """As if the pins of the image, and no other package, had been installed there."""
    for name, version in pins(image).items():
        distribution = metadata.distribution(name)
        assert distribution.version == version, f"{name} is {distribution.version} here and {version} in the image"
        # File by file: a namespace package is one directory of several distributions.
        for file in distribution.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(Path(str(distribution.locate_file(file))))


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(request.param, tmp_path_factory.mktemp(request.param))


of_each_image = pytest.mark.parametrize("built", IMAGES, indirect=True)


@pytest.mark.parametrize("image", IMAGES)
def test_there_are_two_stages_from_one_base(image: str) -> None:
    [argument, *_] = instructions(image)
    name, _, base = argument.text.partition("=")
    assert (argument.name, base) == ("ARG", "python:3.11-slim")
    assert [(stage.base, stage.name) for stage in stages(image)] == [
        (f"${{{name}}}", "builder"),
        (f"${{{name}}}", None),
    ]


@pytest.mark.parametrize("image", IMAGES)
def test_only_the_virtual_environment_reaches_the_image(image: str) -> None:
    assert stages(image)[1].of("COPY") == ["--from=builder /venv /venv"]
    assert not [text for text in stages(image)[1].of("RUN") if "pip" in text]


@pytest.mark.parametrize("image", IMAGES)
def test_the_user_is_a_number_and_not_root(image: str) -> None:
    assert stages(image)[1].of("USER") == [f"{USER_ID}:{USER_ID}"]


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_secret_and_nothing_unpinned_goes_in(image: str) -> None:
    text = dockerfile(image).read_text()
    assert not re.search(r"https?://|password|secret|token|credential", text, flags=re.IGNORECASE)
    assert {instruction.name for instruction in instructions(image)} == {
        "ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "EXPOSE", "ENTRYPOINT"
    }  # fmt: skip
    installations = [text for stage in stages(image) for text in stage.of("RUN") if " install " in text]
    assert len(installations) == 3
    assert all("--require-hashes" in text or "--no-index" in text for text in installations)


@pytest.mark.parametrize("image", IMAGES)
def test_python_writes_no_files_and_no_late_lines(image: str) -> None:
    environment = variables(stages(image)[1])
    everywhere = {"PATH": "/venv/bin:$PATH", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    # The operator has many threads, each of which would keep memory of its own.
    assert environment == everywhere | ({"MALLOC_ARENA_MAX": "2"} if image == "operator" else {})
    # The working directory is searched for modules: / cannot be written to.
    assert stages(image)[1].of("WORKDIR") == []


@pytest.mark.parametrize("image", IMAGES)
def test_labels_name_the_image(image: str) -> None:
    [labels] = stages(image)[1].of("LABEL")
    found = dict(word.split("=", 1) for word in shlex.split(labels))
    assert found["org.opencontainers.image.title"] == f"mediabucket-{image}"
    assert found["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]


@pytest.mark.parametrize("image", IMAGES)
def test_copied_sources_exist_and_are_sent_to_the_builder(image: str) -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    for names, _ in sources(image):
        for name in names:
            assert (ROOT / name).exists()
            assert f"!{name.partition('/')[0]}" in ignored
    assert {"**/__pycache__", "**/*.pyc"} <= set(ignored)


def test_both_builders_differ_by_the_extra_only() -> None:
    [operator, service] = [
        [(i.name, i.text.replace(image, "EXTRA")) for i in stages(image)[0].instructions] for image in IMAGES
    ]
    # Both copy both folders.
    swapped = {"COPY EXTRA EXTRA", "COPY operator operator", "COPY service service"}
    assert [i for i in operator if " ".join(i) not in swapped] == [i for i in service if " ".join(i) not in swapped]


@pytest.mark.parametrize("image", IMAGES)
def test_pins_agree_with_those_of_the_tests(image: str) -> None:
    tested = (ROOT / "requirements" / "dev.txt").read_text()
    text = (ROOT / "requirements" / f"{image}.txt").read_text()
    assert [
        line for line in re.findall(r"^[a-z0-9]\S*==\S+", text, flags=re.MULTILINE) if f"\n{line}" not in f"\n{tested}"
    ] == []


@of_each_image
def test_the_wheel_holds_every_module_and_file(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        str(file.relative_to(package.parent))
        for package in PACKAGES
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert names == expected
    assert {"mediabucket_service/web/index.html", "mediabucket_service/migrations/script.py.mako"} <= names


def test_both_images_hold_the_same_wheel(tmp_path: Path) -> None:
    wheels = [build(image, tmp_path / image).wheel for image in IMAGES]
    assert wheels[0].name == wheels[1].name
    assert len({hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}) == 1


@of_each_image
def test_the_pins_are_all_that_the_program_imports(built: Built) -> None:
    result = built.run("-W", "error", "-c", IMPORT_ALL, *IMAGES[built.image], ",".join(PROGRAMS))
    assert result.returncode == 0, result.stderr


@of_each_image
def test_the_entry_point_is_a_program_of_the_image(built: Built) -> None:
    [text] = stages(built.image)[1].of("ENTRYPOINT")
    [program, *arguments] = json.loads(text)
    scripts = {script.name for name in pins(built.image) for script in metadata.distribution(name).entry_points}
    assert (built.programs / program).exists() or program in scripts
    [port] = stages(built.image)[1].of("EXPOSE")
    assert not arguments or arguments[-2:] == ["--port", port]


@pytest.mark.parametrize("built", ["service"], indirect=True)
def test_the_service_runs_in_its_image(built: Built, database_url: str, tmp_path: Path) -> None:
    """What an init container does, then what the container does."""
    migrated = built.run("-m", "mediabucket_service.migrations", MEDIABUCKET_DATABASE_URL=database_url)
    assert migrated.returncode == 0, migrated.stderr
    (tmp_path / "mediabucket.json").write_text('{"storeRef": {"name": "store"}}')
    environment = {
        "MEDIABUCKET_DATABASE_URL": database_url,
        "MEDIABUCKET_JWT_SECRET": "for-this-test-only-" * 3,
        "MEDIABUCKET_FILE": str(tmp_path / "mediabucket.json"),
        "BUCKET_NAME": "bucket",
        # Nothing listens there: the service starts without its store.
        "BUCKET_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "key",
    }
    [text] = stages("service")[1].of("ENTRYPOINT")
    port = free_ports(["http"])["http"]
    arguments = [{"0.0.0.0": "127.0.0.1", "8000": str(port)}.get(word, word) for word in json.loads(text)]
    command = [str(built.programs / arguments[0]), *arguments[1:]]
    with subprocess.Popen(command, env=environment, cwd="/", stderr=subprocess.PIPE, text=True) as process:
        try:
            assert answer(f"http://127.0.0.1:{port}/healthz", process).startswith("{")
            assert "<title>" in answer(f"http://127.0.0.1:{port}/", process)
        finally:
            process.terminate()


def answer(url: str, process: "subprocess.Popen[Any]") -> str:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
