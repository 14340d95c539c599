"""testcontainers' module for compose: up, ps, port, exec, logs and down through `docker compose`."""

import os
import subprocess
from pathlib import Path

import pytest
from testcontainers.compose import DockerCompose

HERE = Path(__file__).parent


@pytest.fixture
def stack(monkeypatch):
    name = os.environ["STACKCTL_PROJECT"] + "-tc"
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", name)
    with DockerCompose(context=HERE, compose_file_name="compose.yaml", wait=True) as compose:
        yield compose, name


def test_compose_is_driven_and_its_answers_are_understood(stack):
    compose, name = stack
    found = {container.Service: container for container in compose.get_containers()}
    assert set(found) == {"web", "cache"}
    web = compose.get_container("web")
    assert web.Name == f"{name}-web-1" and web.State == "running"
    # The first success of a probe is what `--wait` waits for, stackctl's own or the engine's.
    assert web.Health in ("healthy", "starting")
    assert web.Project == name
    port = int(compose.get_service_port("web", 80))
    told = subprocess.run(["docker", "port", web.Name, "80"], capture_output=True, text=True, check=True)
    assert told.stdout.strip().endswith(f":{port}")
    compose.wait_for(f"http://127.0.0.1:{port}/")
    out, err, code = compose.exec_in_container(["sh", "-c", "echo out; echo err >&2"], "cache")
    assert (out, err, code) == ("out\n", "err\n", 0)
    out, _ = compose.get_logs("cache")
    assert "cache-1" in out
    assert "redis:latest" in str(compose.get_config()["services"]["cache"]["image"])


def test_nothing_is_left_when_the_stack_is_down():
    name = os.environ["STACKCTL_PROJECT"] + "-tc"
    left = ["docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={name}"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""
