//! The first stack on two nodes: a server on each, Redis on one.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::Proof;
use crate::rooms::Door;
use crate::{say, up};

/// The image that `cargo xtask up` builds for both servers.
const SERVER: &str = "rooms-app1:latest";

/// What the first stack is given to run on the swarm of the lab: no balancer, ports of the nodes, and the
/// image of the server as it was built on the first node.
#[derive(Clone, Copy)]
struct Change {
    /// A variable of the servers, so that there is something to roll out.
    level: &'static str,
    /// What the servers are asked for their health.
    check: &'static str,
}

impl Proof {
    pub(super) fn first_stack(&mut self, root: &Path) -> Result<()> {
        for image in [SERVER, "nginx:latest"] {
            self.lab.load(image).with_context(|| format!("{image} is made by: cargo xtask up"))?;
        }
        let doors =
            [("app1", 0, 3001), ("app2", 1, 3002), ("nginx", 0, 8080)].map(|(service, node, port)| Door {
                service: service.to_owned(),
                host: self.lab.address(node),
                port,
            });
        let good = Change { level: "info", check: "healthcheck" };
        self.give(root, good)?;
        self.of_the_first_stack(root, &["up", "--wait"], 0)?;
        up::check(&doors, &up::SPEAKING).context("the first stack is up on two nodes and does not work")?;
        self.of_the_first_stack(root, &["plan"], 0)?;
        say("the first stack: a server on each node, and what one client writes the others see");

        self.give(root, Change { level: "debug", ..good })?;
        let told = self.of_the_first_stack(root, &["up", "--wait"], 0)?;
        ensure!(!told.contains("service:redis"), "redis is another for no reason:\n{told}");
        up::check(&doors, &up::SPEAKING).context("the first stack does not work after a change")?;
        say("the first stack: the servers were replaced, and work");

        self.give(root, Change { level: "trace", check: "no-such-command" })?;
        self.of_the_first_stack(root, &["up", "--wait"], 9)?;
        up::check(&doors, &up::SPEAKING).context("the first stack does not work after a bad change")?;
        self.of_the_first_stack(root, &["why", "app2"], 1)?;
        self.of_the_first_stack(root, &["rollback", "1"], 0)?;
        up::check(&doors, &up::SPEAKING).context("the first stack does not work after the way back")?;
        say("the first stack: a bad change was put back, and the first generation is back");

        self.of_the_first_stack(root, &["down", "--volumes"], 0)?;
        self.nothing_left("rooms")
    }

    fn give(&self, root: &Path, change: Change) -> Result<()> {
        let (first, second) = (self.lab.name(0), self.lab.name(1));
        let way = self.lab.host(1);
        let server = |node: &str, port: u16| {
            format!(
                "    image: {SERVER}
    build: !reset null
    environment: {{ RUST_LOG: {level} }}
    healthcheck: {{ test: [CMD, /server, {check}], interval: 1s, retries: 2, start_period: 2s }}
    ports: !override [{{ target: {port}, published: '{port}', mode: host }}]
    deploy:
      endpoint_mode: dnsrr
      placement: {{ constraints: ['node.hostname=={node}'] }}
      update_config: {{ failure_action: rollback, monitor: 3s }}
",
                level = change.level,
                check = change.check,
            )
        };
        let text = format!(
            "\
x-stackctl: {{ engine: swarm, nodes: {{ {second}: '{way}' }} }}
services:
  redis:
    ports: !override [{{ target: 6379, published: '6379', mode: host }}]
    deploy: {{ endpoint_mode: dnsrr, placement: {{ constraints: ['node.hostname=={first}'] }} }}
  app1:
{}
  app2:
{}
  nginx:
    ports: !override [{{ target: 80, published: '8080', mode: host }}]
    deploy: {{ endpoint_mode: dnsrr, placement: {{ constraints: ['node.hostname=={first}'] }} }}
",
            server(&first, 3001),
            server(&second, 3002)
        );
        std::fs::write(self.override_file(), text)
            .with_context(|| format!("what {} is given cannot be written", root.join("stack.yaml").display()))
    }

    fn override_file(&self) -> std::path::PathBuf {
        self.lab.directory().join("first-stack.yaml")
    }

    /// Runs stackctl with the first stack, and gives what it says on both ways.
    fn of_the_first_stack(&self, root: &Path, arguments: &[&str], code: i32) -> Result<String> {
        let mut command = std::process::Command::new(&self.program);
        command.current_dir(root).args([
            "-f",
            "stack.yaml",
            "-f",
            &self.override_file().display().to_string(),
        ]);
        // Engine API 1.41 keeps no services from getting new privileges.
        command.args(["--allow-unsupported", "security_opt", "-H", &self.lab.host(0)]).args(arguments);
        command.env("COMPOSE_PROGRESS", "plain").stdin(std::process::Stdio::null());
        let output = command.output().context("stackctl cannot be run")?;
        let said =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        if output.status.code() != Some(code) {
            bail!(
                "stackctl {} of the first stack ended with {}:\n{said}",
                arguments.join(" "),
                output.status
            );
        }
        Ok(said)
    }
}
