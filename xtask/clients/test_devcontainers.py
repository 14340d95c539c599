"""The dev containers CLI brings a workspace up from a compose file with a build, and runs commands in it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPOSE = os.environ["STACKCTL_AS_COMPOSE"]


@pytest.fixture
def devcontainer(monkeypatch, tmp_path):
    name = os.environ["STACKCTL_PROJECT"] + "-dev"
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", name)
    workspace = tmp_path / "workspace"
    shutil.copytree(HERE / "devcontainer", workspace)

    def run(command, *arguments):
        words = [os.environ["DEVCONTAINER"], command, "--workspace-folder", str(workspace)]
        words += ["--docker-compose-path", COMPOSE, *arguments]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield run, name
    # By its name alone: a stack file of this folder would be another stack's.
    subprocess.run([COMPOSE, "-p", name, "down", "-v", "-t", "0"], cwd=tmp_path, check=True)
    left = ["docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={name}"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""
    images = ["docker", "images", "-q", "--filter", f"label=com.docker.compose.project={name}"]
    built = subprocess.run(images, capture_output=True, text=True, check=True).stdout.split()
    if built:
        subprocess.run(["docker", "rmi", "-f", *built], check=True, stdout=subprocess.DEVNULL)


def test_a_workspace_comes_up_is_found_again_and_made_anew(devcontainer):
    run, name = devcontainer
    up = json.loads(run("up").splitlines()[-1])
    assert up["outcome"] == "success" and up["composeProjectName"] == name
    assert up["remoteWorkspaceFolder"] == "/workspace"
    told = run("exec", "sh", "-c", "cat /built /tmp/created; pwd; echo $WORD; ls -a /workspace")
    wanted = ["built", "created", "/workspace", "from the environment", ".", "..", ".devcontainer"]
    assert told.split("\n")[:-1] == wanted
    # The same workspace is the same container; asked to, another one takes its place.
    assert json.loads(run("up").splitlines()[-1])["containerId"] == up["containerId"]
    anew = json.loads(run("up", "--remove-existing-container").splitlines()[-1])
    assert anew["containerId"] != up["containerId"]
