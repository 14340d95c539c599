//! Ports of the host that somebody has already, on the real engine.

use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use crate::support::{Project, free_ports};

const SLEEPER: &str =
    "image: redis:latest\n    command: [sleep, '600']\n    stop_grace_period: 0s\n    init: true";

fn stack(ports: &str) -> Project {
    Project::new(&format!("services:\n  web:\n    {SLEEPER}\n    ports: [{ports}]\n"))
}

#[test]
fn a_port_of_a_program_must_be_told_with_the_program_and_the_line_before_anything_is_made() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let udp = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let [tcp, udp] = [listener.local_addr(), udp.local_addr()].map(|found| found.expect("an address").port());
    let project = stack(&format!("'127.0.0.1:{tcp}:80', '127.0.0.1:{udp}:53/udp'"));
    let own = std::process::id();
    for command in ["up", "create"] {
        let arguments = if command == "up" { &["up", "-d"][..] } else { &["up", "--wait"] };
        let up = project.run(arguments).exits(8).says(&format!("port 127.0.0.1:{tcp}/tcp is held by "));
        let up = up.says(&format!("process {own} of this host; web/1 asks for it at "));
        up.says("stack.yaml:7:13").says("nothing was done").says(&format!("kill {own}"));
        assert!(project.observe().containers.is_empty() && project.observe().networks.is_empty());
    }
    // A container that is only made asks for nothing.
    project.run(&["create"]).exits(0);
    project.run(&["start"]).exits(8).says("nothing was done");
    drop(listener);
}

#[test]
fn a_port_of_another_container_must_be_told_with_its_project() {
    let [port] = free_ports();
    let other = stack(&format!("'127.0.0.1:{port}:80'"));
    other.run(&["up", "-d"]).exits(0);
    let project = stack(&format!("'{port}:80'"));
    let up = project.run(&["up", "-d"]).exits(8);
    let up = up.says(&format!(
        "port {port}/tcp is held by the container {}-web-1 of the project {}",
        other.name, other.name
    ));
    up.says(&format!("stackctl -p {} stop", other.name));
    assert!(project.observe().networks.is_empty());
    let plan = project.run(&["--dry-run", "up", "-d"]).exits(0).says("is held by the container");
    assert!(plan.out.contains("web/1"), "{}", plan.out);

    let guest = format!("{}-guest", project.name);
    other.run(&["down", "--volumes"]).exits(0);
    let publish = format!("127.0.0.1:{port}:80");
    let run = ["run", "--detach", "--rm", "--init", "--name", &guest, "--publish", &publish];
    let run = Command::new("docker").args(run).args(["redis:latest", "sleep", "600"]).output();
    assert!(run.expect("docker runs").status.success());
    let up = project.run(&["up", "-d"]);
    assert!(
        Command::new("docker").args(["rm", "-f", &guest]).output().expect("docker runs").status.success()
    );
    up.exits(8)
        .says(&format!("is held by the container {guest}; web/1"))
        .says(&format!("docker stop {guest}"));
    project.run(&["up", "-d"]).exits(0);
}

#[test]
fn what_the_plan_itself_frees_must_be_no_conflict() {
    let [one, two] = free_ports();
    let file = |first: u16, second: u16, level: &str| {
        format!(
            "services:\n  a:\n    {SLEEPER}\n    environment: {{ LEVEL: {level} }}\n    ports: ['127.0.0.1:{first}:80']\n  b:\n    {SLEEPER}\n    environment: {{ LEVEL: {level} }}\n    ports: ['127.0.0.1:{second}:80']\n"
        )
    };
    let project = Project::new(&file(one, two, "info"));
    project.run(&["up", "-d"]).exits(0);
    project.write(&file(one, two, "debug"));
    project.run(&["up", "-d"]).exits(0);
    // They change places.
    project.write(&file(two, one, "debug"));
    project.run(&["up", "-d"]).exits(0);
    project.run(&["restart"]).exits(0);
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
}

#[test]
fn a_range_must_take_what_is_free_of_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let first = listener.local_addr().expect("an address").port();
    let Some(last) = first.checked_add(8) else { return };
    let project = stack(&format!("'127.0.0.1:{first}-{last}:80'"));
    let up = project.run(&["up", "-d"]);
    assert!(!up.err.contains("nothing was done"), "{}", up.err);
}
