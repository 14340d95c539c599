"""pytest-docker brings a stack up, asks for a port and takes the stack down."""

import os
import subprocess
import urllib.request


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def test_a_service_is_reached_at_the_port_that_compose_tells(docker_ip, docker_services):
    port = docker_services.port_for("web", 80)
    url = f"http://{docker_ip}:{port}/"
    docker_services.wait_until_responsive(timeout=60, pause=0.1, check=lambda: answers(url))
    # The port was told by the stack that was asked, not by another.
    name = os.environ["STACKCTL_PROJECT"] + "-pytest-web-1"
    told = subprocess.run(["docker", "port", name, "80"], capture_output=True, text=True, check=True)
    assert told.stdout.strip().endswith(f":{port}")
