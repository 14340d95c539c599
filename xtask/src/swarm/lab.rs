//! Two engines on this machine, each with a network and a name of its own, and a swarm of them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long an engine may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The network between the nodes, which reaches nothing else.
const NETWORK: &str = "10.98.77";

/// A swarm of two nodes. What it made is gone when it is dropped.
pub(crate) struct Lab {
    directory: tempfile::TempDir,
    /// What names on this machine begin with.
    tag: String,
    engines: Vec<Child>,
}

impl Lab {
    pub(crate) fn start() -> Result<Self> {
        let directory = tempfile::tempdir().context("no temporary folder")?;
        let mut lab = Self { directory, tag: format!("sp{}", std::process::id()), engines: Vec::new() };
        let bridge = lab.tag.clone();
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["link", "set", &bridge, "up"])?;
        // This machine is a client of what the nodes publish.
        ip(&["addr", "add", &format!("{}/24", lab.gateway()), "dev", &bridge])?;
        // Where a firewall looks at bridges, it would keep the nodes apart.
        let _ = run("iptables", &lab.rule("-I"));
        for node in 0..2 {
            lab.join_wire(node)?;
            let engine = lab.start_engine(node)?;
            lab.engines.push(engine);
        }
        lab.docker(0, &["swarm", "init", "--advertise-addr", &lab.address(0)])?;
        let token = lab.docker(0, &["swarm", "join-token", "-q", "worker"])?;
        let manager = format!("{}:2377", lab.address(0));
        lab.docker(
            1,
            &["swarm", "join", "--token", token.trim(), "--advertise-addr", &lab.address(1), &manager],
        )?;
        Ok(lab)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the engine of a node is to be found.
    pub(crate) fn host(&self, node: usize) -> String {
        format!("unix://{}", self.at(node, "socket").display())
    }

    /// The host name of a node.
    pub(crate) fn name(&self, node: usize) -> String {
        format!("node-{}", node + 1)
    }

    /// Gives the first node an image of this machine's own engine.
    pub(crate) fn load(&self, image: &str) -> Result<()> {
        let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn()?;
        let archive = save.stdout.take().context("docker save says nothing")?;
        let mut load = Command::new("docker");
        load.args(["-H", &self.host(0), "load"]).stdin(archive).stdout(Stdio::null());
        ensure!(
            load.status()?.success() && save.wait()?.success(),
            "{image} cannot be loaded\nnext: cargo xtask images"
        );
        Ok(())
    }

    /// What docker says of a node.
    pub(crate) fn docker(&self, node: usize, arguments: &[&str]) -> Result<String> {
        let host = self.host(node);
        run("docker", &[&["-H", host.as_str()], arguments].concat())
    }

    /// Takes a node off the wire, or puts it back.
    pub(crate) fn cut_off(&self, node: usize, off: bool) -> Result<()> {
        ip(&["link", "set", &self.wire(node), if off { "down" } else { "up" }])
    }

    /// Kills the engine of a node, as a crash would.
    pub(crate) fn kill(&mut self, node: usize) -> Result<()> {
        let engine = &mut self.engines[node];
        engine.kill().context("the engine cannot be killed")?;
        engine.wait().context("the engine does not end").map(drop)
    }

    /// Starts the engine of a node again.
    pub(crate) fn revive(&mut self, node: usize) -> Result<()> {
        self.engines[node] = self.start_engine(node)?;
        Ok(())
    }

    /// The address of a node.
    pub(crate) fn address(&self, node: usize) -> String {
        format!("{NETWORK}.{}", node + 1)
    }

    /// The address that this machine has for the nodes.
    pub(crate) fn gateway(&self) -> String {
        format!("{NETWORK}.254")
    }

    fn at(&self, node: usize, name: &str) -> PathBuf {
        self.directory.path().join(self.name(node)).join(name)
    }

    fn namespace(&self, node: usize) -> String {
        format!("{}-{node}", self.tag)
    }

    fn wire(&self, node: usize) -> String {
        format!("{}v{node}", self.tag)
    }

    fn rule<'a>(&'a self, change: &'a str) -> [&'a str; 8] {
        [change, "FORWARD", "-i", &self.tag, "-o", &self.tag, "-j", "ACCEPT"]
    }

    fn join_wire(&self, node: usize) -> Result<()> {
        let (namespace, wire) = (self.namespace(node), self.wire(node));
        ip(&["netns", "add", &namespace])?;
        ip(&["link", "add", &wire, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
        ip(&["link", "set", &wire, "master", &self.tag, "up"])?;
        ip(&["-n", &namespace, "addr", "add", &format!("{}/24", self.address(node)), "dev", "eth0"])?;
        ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", &namespace, "link", "set", "lo", "up"])
    }

    fn start_engine(&self, node: usize) -> Result<Child> {
        std::fs::create_dir_all(self.at(node, ""))?;
        let log = std::fs::File::create(self.at(node, "log"))?;
        let own = format!("--net=/var/run/netns/{}", self.namespace(node));
        let path = |name: &str| self.at(node, name).display().to_string();
        let mut engine = Command::new("nsenter");
        engine.args([
            &own,
            "unshare",
            "--uts",
            "sh",
            "-c",
            "hostname \"$0\"; exec dockerd \"$@\"",
            &self.name(node),
        ]);
        engine.args(["-H", &self.host(node), "--data-root", &path("data"), "--exec-root", &path("exec")]);
        engine.args(["--pidfile", &path("pid"), "--insecure-registry", &format!("{NETWORK}.0/24")]);
        let engine = engine.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut engine = engine.context("nsenter cannot be run")?;
        let began = Instant::now();
        while self.docker(node, &["version"]).is_err() {
            if began.elapsed() > PATIENCE || engine.try_wait()?.is_some() {
                let _ = engine.kill();
                let _ = engine.wait();
                let log = std::fs::read_to_string(self.at(node, "log")).unwrap_or_default();
                bail!("the engine of {} does not answer: it takes dockerd and root\n{log}", self.name(node));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(engine)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for node in 0..self.engines.len() {
            let _ = self.cut_off(node, false);
            // Services would come again as long as the node is in the swarm.
            let _ = self.docker(node, &["swarm", "leave", "--force"]);
            let ids = self.docker(node, &["ps", "-aq"]).unwrap_or_default();
            let mut remove: Vec<&str> = vec!["rm", "--force", "--volumes"];
            remove.extend(ids.split_whitespace());
            if remove.len() > 3 {
                let _ = self.docker(node, &remove);
            }
        }
        for engine in &mut self.engines {
            let _ = run("kill", &["-TERM", &engine.id().to_string()]);
            let _ = engine.wait();
        }
        for node in 0..2 {
            let data = self.at(node, "");
            let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
            let ours =
                |line: &str| line.split(' ').nth(1).map(PathBuf::from).filter(|at| at.starts_with(&data));
            let mut places: Vec<PathBuf> = mounts.lines().filter_map(ours).collect();
            places.sort();
            for place in places.iter().rev() {
                let _ = run("umount", &["-l", &place.display().to_string()]);
            }
            let _ = ip(&["netns", "del", &self.namespace(node)]);
            let _ = ip(&["link", "del", &self.wire(node)]);
        }
        let _ = ip(&["link", "del", &self.tag]);
        let _ = run("iptables", &self.rule("-D"));
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments).map(drop)
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{program} {}: {why}", arguments.join(" "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
