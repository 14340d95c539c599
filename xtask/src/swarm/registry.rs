//! A stack whose image is built on one node, and comes to the other by a registry.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{IMAGE, Proof};
use crate::say;

/// A registry of the network of the nodes; it ends when it is dropped.
struct Registry {
    child: Child,
    place: String,
}

impl Registry {
    fn start(directory: &Path, host: &str) -> Result<Self> {
        let place = format!("{host}:5000");
        let data = directory.join("registry");
        let file = directory.join("registry.yml");
        let configuration = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{place}'}}\n",
            data.display()
        );
        std::fs::write(&file, configuration).context("the configuration cannot be written")?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("docker-registry cannot be run: it is a package of Debian")?;
        Ok(Self { child, place })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proof {
    /// What is built is pushed, and every node pulls it by its digest: no way to its engine is known.
    pub(super) fn registry(&mut self) -> Result<()> {
        let registry = Registry::start(self.lab.directory(), &self.lab.gateway())?;
        self.eventually("the registry listens", || Ok(TcpStream::connect(&registry.place).is_ok()))?;
        let image = format!("{}/hub:1", registry.place);
        self.file = self.of_hub(&image, 1)?;
        let told = self.exits(&["up", "--wait"], 0)?;
        ensure!(told.contains("pushed"), "nothing is said of the push:\n{told}");
        self.exits(&["plan"], 0)?;
        ensure!(self.hubs(&image)? == [1, 1], "a hub on each node, of the image that was pushed");
        self.file = self.of_hub(&image, 2)?;
        self.exits(&["up", "--wait", "--build"], 0)?;
        self.eventually("both nodes have the image that was built anew", || {
            let labels = [0, 1].map(|node| self.label(node));
            Ok(labels.into_iter().all(|label| label.is_ok_and(|label| label.trim() == "2")))
        })?;
        say("what is built on one node goes to the registry of its name, and from there to the other");
        self.exits(&["down", "--volumes"], 0)?;
        self.nothing_left("hub")
    }

    fn of_hub(&self, image: &str, version: u32) -> Result<PathBuf> {
        let text = format!(
            "\
name: hub
x-stackctl: {{engine: swarm}}
services:
  hub:
    image: {image}
    build: {{context: ., dockerfile_inline: \"FROM {IMAGE}\\nLABEL version={version}\\n\"}}
    deploy: {{replicas: 2, endpoint_mode: dnsrr, placement: {{max_replicas_per_node: 1}}}}
"
        );
        let directory = self.lab.directory().join("hub");
        std::fs::create_dir_all(&directory).context("no folder for the stack")?;
        let file = directory.join("stack.yaml");
        std::fs::write(&file, text).context("the stack file cannot be written")?;
        Ok(file)
    }

    /// How many hubs of the image, under a digest, run on each node.
    fn hubs(&self, image: &str) -> Result<[usize; 2]> {
        let mut counts = [0; 2];
        for (node, count) in counts.iter_mut().enumerate() {
            let shown = self.lab.docker(node, &["ps", "--no-trunc", "--format", "{{.Image}}"])?;
            *count = shown.lines().filter(|line| line.starts_with(&format!("{image}@sha256:"))).count();
        }
        Ok(counts)
    }

    /// The label of the image of the hub that runs on a node.
    fn label(&self, node: usize) -> Result<String> {
        let id = self.lab.docker(node, &["ps", "-q", "--filter", "status=running"])?;
        let format = "{{.Config.Labels.version}}";
        self.lab.docker(node, &["inspect", "--format", format, id.trim()])
    }
}
