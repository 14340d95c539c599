"""What pytest-docker is told: the compose command, its file and a project of its own."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def docker_compose_command():
    return os.environ["STACKCTL_AS_COMPOSE"]


@pytest.fixture(scope="session")
def docker_compose_file():
    return str(HERE / "compose.yaml")


@pytest.fixture(scope="session")
def docker_compose_project_name():
    return os.environ["STACKCTL_PROJECT"] + "-pytest"
