//! `cargo xtask swarm`: a stack, and then the first stack, on a swarm of two engines on this machine. It
//! takes dockerd, docker-registry, ip, nsenter and root, and an engine that has the images of the first stack.

mod first_stack;
mod lab;
mod registry;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::lab::Lab;
use crate::cargo::{Profile, build};
use crate::debian::{self, Services};
use crate::say;

/// What everything runs in; only the first node has it at the beginning.
const IMAGE: &str = "redis:latest";
/// How long something may take that nobody waits for otherwise.
const PATIENCE: Duration = Duration::from_secs(120);

/// Takes a stack through its life on two nodes.
pub(crate) fn run(root: &Path) -> Result<()> {
    if !debian::has_program("docker-registry") {
        debian::install(&["docker-registry"], "by the swarm", Services::StayOff)?;
    }
    let program = build(root, "stackctl", Profile::Dev)?;
    let lab = Lab::start()?;
    lab.load(IMAGE)?;
    let mut proof = Proof { program, file: lab.directory().join("stack.yaml"), lab };
    let began = Instant::now();
    proof.life()?;
    proof.first_stack(root)?;
    proof.registry()?;
    say(&format!("everything held, in {:.0} s", began.elapsed().as_secs_f64()));
    Ok(())
}

struct Proof {
    program: PathBuf,
    file: PathBuf,
    lab: Lab,
}

/// What changes in the life of the stack.
#[derive(Clone, Copy)]
struct Version {
    number: u32,
    /// Where the edge looks for its configuration.
    conf: &'static str,
    memory: &'static str,
}

impl Proof {
    fn life(&mut self) -> Result<()> {
        let first = Version { number: 1, conf: "/etc/edge.conf", memory: "40mb" };
        self.write(first)?;
        self.exits(&["up", "--wait"], 0)?;
        ensure!(
            self.edges("VERSION=1")? == [1, 1],
            "an edge on each node, made from the image that came over"
        );
        say("up: a task on each node, the image shipped to the second");
        self.exits(&["plan"], 0)?;
        say("plan: nothing to do after up");

        self.exec(0, "edge", &["redis-cli", "-h", "store", "set", "word", "written-on-1"])?;
        let read = self.exec(1, "edge", &["redis-cli", "-h", "store", "get", "word"])?;
        ensure!(read.trim() == "written-on-1", "the second node reads {read:?}");
        say("a client on one node reads what one on the other has written");

        let second = Version { number: 2, ..first };
        self.write(second)?;
        self.exits(&["up", "--wait"], 0)?;
        ensure!(self.edges("VERSION=2")? == [1, 1], "both edges are of the second version");
        say("a change came to both nodes");

        self.write(Version { number: 3, conf: "/nowhere.conf", ..first })?;
        let refused = self.exits(&["up", "--wait"], 9)?;
        ensure!(refused.contains("edge"), "nobody says what failed:\n{refused}");
        self.eventually("the second version serves again", || Ok(self.edges("VERSION=2")? == [1, 1]))?;
        say("a bad change was rolled back, with exit code 9");

        self.write(Version { memory: "50mb", ..second })?;
        self.exits(&["up", "--wait"], 0)?;
        for node in [0, 1] {
            let limit =
                self.exec(node, "edge", &["redis-cli", "-p", "7000", "config", "get", "maxmemory"])?;
            ensure!(limit.contains("52428800"), "node {node} has {limit:?}");
        }
        let own = "label=com.docker.stack.namespace=proof";
        let configs = self.lab.docker(0, &["config", "ls", "-q", "--filter", own])?;
        ensure!(configs.lines().count() == 1, "the config of before has gone: {configs}");
        say("a changed config came to both nodes, and the one of before has gone");

        for index in ["1", "2"] {
            let ping = ["exec", "-T", "--index", index, "edge", "redis-cli", "-p", "7000", "ping"];
            ensure!(self.exits(&ping, 0)?.contains("PONG"), "edge.{index} does not answer");
        }
        say("exec: a command in the task of either node");

        self.exits(&["rollback", "--dry-run"], 0)?;
        self.exits(&["rollback"], 0)?;
        let limit = self.exec(1, "edge", &["redis-cli", "-p", "7000", "config", "get", "maxmemory"])?;
        ensure!(limit.contains("41943040"), "after the way back the second node has {limit:?}");
        self.exits(&["status"], 0)?;
        self.lab.docker(0, &["service", "update", "-d", "--env-add", "BY=hand", "proof_worker"])?;
        let drift = self.exits(&["status"], 2)?;
        ensure!(drift.contains("worker  environment.BY"), "what was changed by hand is not told: {drift}");
        self.exits(&["rollback", "2", "--dry-run"], 0)?;
        self.write(second)?;
        self.exits(&["up", "--wait"], 0)?;
        self.exits(&["status"], 0)?;
        say("rollback: the config of before is back; what was changed by hand was told and mended");

        self.lab.cut_off(1, true)?;
        self.moved("the tasks of a lost node move")?;
        say("a node that is lost is told, and its tasks moved");
        self.lab.cut_off(1, false)?;
        self.all_ready()?;
        self.eventually("an edge on each node again", || Ok(self.edges("VERSION=2")? == [1, 1]))?;

        self.lab.kill(1)?;
        self.moved("the tasks of a killed engine move")?;
        let why = self.exits(&["why"], 1)?;
        ensure!(
            why.contains("node node-2 does not answer") && why.contains("edge"),
            "why does not say it:\n{why}"
        );
        say("an engine that is killed is told, and its tasks moved");
        self.lab.revive(1)?;
        self.all_ready()?;
        self.eventually("an edge on each node again", || Ok(self.edges("VERSION=2")? == [1, 1]))?;

        self.exits(&["down", "--volumes"], 0)?;
        self.nothing_left("proof")?;
        say("down left nothing on either node");
        Ok(())
    }

    /// Waits until the second node is told as lost, and the first has what can move.
    fn moved(&self, what: &str) -> Result<()> {
        self.eventually(what, || {
            let nodes = self.exits(&["nodes", "--format", "{{.Name}} {{.Status}} {{.Tasks}}"], 0)?;
            let line =
                |name: &str| nodes.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            let down = line(&self.lab.name(1)).contains(" down");
            let here = line(&self.lab.name(0));
            Ok(down && here.matches("worker.").count() == 2 && !here.contains('('))
        })
    }

    fn all_ready(&self) -> Result<()> {
        self.eventually("the node is back", || {
            let nodes = self.exits(&["nodes", "--format", "{{.Status}}"], 0)?;
            Ok(nodes.lines().all(|status| status == "ready"))
        })
    }

    /// Waits until neither node has anything of a stack, nor the swarm.
    fn nothing_left(&self, project: &str) -> Result<()> {
        for node in [0, 1] {
            self.eventually("nothing is left", || {
                let containers = self.lab.docker(node, &["ps", "-aq"])?;
                let own = format!("name={project}_");
                let networks = self.lab.docker(node, &["network", "ls", "-q", "--filter", &own])?;
                Ok(containers.is_empty() && networks.is_empty())
            })?;
        }
        let left = [["config", "ls", "-q"], ["secret", "ls", "-q"], ["service", "ls", "-q"]]
            .iter()
            .map(|words| self.lab.docker(0, words))
            .collect::<Result<String>>()?;
        ensure!(left.is_empty(), "the swarm keeps {left}");
        Ok(())
    }

    fn write(&self, Version { number, conf, memory }: Version) -> Result<()> {
        let (first, second) = (self.lab.name(0), self.lab.name(1));
        let way = self.lab.host(1);
        let text = format!(
            "\
name: proof
x-stackctl: {{engine: swarm, nodes: {{{second}: '{way}'}}}}
services:
  store:
    image: {IMAGE}
    healthcheck: {{test: [CMD, redis-cli, ping], interval: 1s}}
    deploy: {{endpoint_mode: dnsrr, placement: {{constraints: ['node.hostname=={first}']}}}}
  edge:
    image: {IMAGE}
    command: [redis-server, {conf}]
    environment: {{VERSION: '{number}'}}
    configs: [{{source: edge, target: /etc/edge.conf}}]
    ports: [{{target: 7000, published: '7000', mode: host}}]
    healthcheck: {{test: [CMD, redis-cli, -p, '7000', ping], interval: 1s, retries: 2}}
    depends_on: {{store: {{condition: service_healthy}}}}
    stop_grace_period: 2s
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      placement: {{max_replicas_per_node: 1}}
      update_config: {{order: stop-first, monitor: 3s, failure_action: rollback}}
      restart_policy: {{condition: any, delay: 1s}}
  worker:
    image: {IMAGE}
    deploy: {{replicas: 2, endpoint_mode: dnsrr}}
configs:
  edge: {{content: \"port 7000\\nmaxmemory {memory}\\n\"}}
"
        );
        std::fs::write(&self.file, text).context("the stack file cannot be written")
    }

    fn stackctl(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(["-f", &self.file.display().to_string(), "-H", &self.lab.host(0)]).args(arguments);
        command.env("COMPOSE_PROGRESS", "plain").stdin(Stdio::null());
        command.output().context("stackctl cannot be run")
    }

    /// Runs stackctl, and gives what it says on both ways.
    fn exits(&self, arguments: &[&str], code: i32) -> Result<String> {
        let output = self.stackctl(arguments)?;
        let said =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        if output.status.code() != Some(code) {
            bail!("stackctl {} ended with {}, not {code}:\n{said}", arguments.join(" "), output.status);
        }
        Ok(said)
    }

    /// How many edges of a version run on each node.
    fn edges(&self, version: &str) -> Result<[usize; 2]> {
        let mut counts = [0; 2];
        for (node, count) in counts.iter_mut().enumerate() {
            for id in self.containers(node, "edge")?.lines() {
                let shown = self.lab.docker(node, &["inspect", "--format", "{{.Config.Env}}", id]);
                *count += usize::from(shown.is_ok_and(|shown| shown.contains(version)));
            }
        }
        Ok(counts)
    }

    fn containers(&self, node: usize, service: &str) -> Result<String> {
        let label = format!("label=com.docker.swarm.service.name=proof_{service}");
        self.lab.docker(node, &["ps", "-q", "--filter", &label, "--filter", "status=running"])
    }

    fn exec(&self, node: usize, service: &str, command: &[&str]) -> Result<String> {
        let ids = self.containers(node, service)?;
        let id = ids.lines().next().with_context(|| format!("{service} does not run on node {node}"))?;
        self.lab.docker(node, &[&["exec", id], command].concat())
    }

    fn eventually(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !holds()? {
            if began.elapsed() > PATIENCE {
                let tasks = self.exits(&["ps", "-a", "--no-trunc"], 0).unwrap_or_default();
                bail!("it did not come to this: {what}\n{tasks}");
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    }
}
