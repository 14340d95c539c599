//! Starting an engine that is installed: by systemd where it runs, else by hand in the background.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::debian::{self, last_lines};
use crate::say;

const LOG: &str = "/var/log/dockerd.log";
const PID_FILE: &str = "/var/run/docker.pid";

/// How long an engine may take until it answers.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts the engine and waits until `answers`.
pub(super) fn start(answers: impl Fn() -> bool) -> Result<()> {
    if debian::has_systemd() {
        say("starting the Docker Engine: systemctl start docker");
        let started = Command::new("systemctl").args(["start", "docker"]).stdin(Stdio::null()).output()?;
        if started.status.success() && wait(&answers, None)?.is_none() {
            return Ok(());
        }
        bail!("the Docker Engine did not start; its log ends:\n{}", journal());
    }
    if is_running() {
        if wait(&answers, None)?.is_none() {
            return Ok(());
        }
        bail!("dockerd runs and does not answer; look at its log, or end it and run this again");
    }
    mount_cgroups()?;
    let mut options = Vec::new();
    let mut log = by_hand(&options, &answers)?;
    while let Some(text) = log {
        let Some(remedy) = remedy(&text, &options) else {
            bail!("the Docker Engine did not start; {LOG} ends:\n{}", last_lines(&text, 15));
        };
        remedy.apply(&mut options)?;
        log = by_hand(&options, &answers)?;
    }
    Ok(())
}

/// Starts dockerd with its log in a file. `None` when it answers, else what the log says.
fn by_hand(options: &[&'static str], answers: &impl Fn() -> bool) -> Result<Option<String>> {
    // What an engine that was ended hard has left behind would keep a new one from starting.
    if Path::new(PID_FILE).exists() {
        std::fs::remove_file(PID_FILE).with_context(|| format!("{PID_FILE} cannot be removed"))?;
    }
    say(&format!("starting the Docker Engine in the background: dockerd {}(log: {LOG})", spaced(options)));
    let log = File::create(LOG).with_context(|| format!("{LOG} cannot be written"))?;
    let mut child = Command::new("setsid")
        .arg("dockerd")
        .args(options)
        .env("PATH", debian::path_with_sbin())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("dockerd cannot be run")?;
    let Some(why) = wait(answers, Some(&mut child))? else { return Ok(None) };
    if child.try_wait()?.is_none() {
        // It hangs. Ended softly, so that it takes its own containerd with it.
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        child.wait()?;
    }
    let text = std::fs::read_to_string(LOG).unwrap_or_default();
    Ok(Some(format!("{text}\n{why}")))
}

fn spaced(options: &[&str]) -> String {
    options.iter().map(|option| format!("{option} ")).collect()
}

/// Asks again and again, each time a little later. `None` when it answers, else why not.
fn wait(answers: &impl Fn() -> bool, mut child: Option<&mut Child>) -> Result<Option<String>> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(50);
    while begun.elapsed() < LIMIT {
        if answers() {
            return Ok(None);
        }
        if let Some(child) = child.as_deref_mut()
            && let Some(status) = child.try_wait()?
        {
            return Ok(Some(format!("dockerd ended: {status}")));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(1));
    }
    Ok(Some(format!("no answer within {} s", LIMIT.as_secs())))
}

/// Whether a process called dockerd is there.
fn is_running() -> bool {
    std::fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
        std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.trim() == "dockerd")
    })
}

/// A machine without an init of its own often has no control groups mounted.
fn mount_cgroups() -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    if mounts.lines().any(|line| line.split(' ').nth(2).is_some_and(|kind| kind.starts_with("cgroup"))) {
        return Ok(());
    }
    say("mounting control groups: mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    let mounted = Command::new("mount").args(["-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]).status()?;
    if !mounted.success() {
        bail!(
            "containers need control groups, and /sys/fs/cgroup cannot be mounted; run this on a machine that may"
        );
    }
    Ok(())
}

fn journal() -> String {
    let output =
        Command::new("journalctl").args(["-u", "docker", "-n", "15", "--no-pager", "-o", "cat"]).output();
    output.map(|output| last_lines(&String::from_utf8_lossy(&output.stdout), 15)).unwrap_or_default()
}

/// What helps an engine that did not start.
#[derive(Debug, PartialEq, Eq)]
enum Remedy {
    /// The kernel takes firewall rules only in the old way.
    LegacyIptables,
    /// The disk cannot carry layered file systems.
    PlainLayers,
}

const PLAIN_LAYERS: &str = "--storage-driver=vfs";

fn remedy(log: &str, options: &[&str]) -> Option<Remedy> {
    let log = log.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| log.contains(word));
    if says(&[
        "failed to initialize nft",
        "iptables failed",
        "nf_tables",
        "error initializing network controller",
    ]) && !uses_legacy_iptables()
        && debian::has_program("iptables-legacy")
    {
        return Some(Remedy::LegacyIptables);
    }
    if says(&[
        "error initializing graphdriver",
        "no supported storage driver",
        "driver not supported",
        "failed to mount overlay",
    ]) && !options.contains(&PLAIN_LAYERS)
    {
        return Some(Remedy::PlainLayers);
    }
    None
}

fn uses_legacy_iptables() -> bool {
    let output = Command::new("iptables").arg("--version").env("PATH", debian::path_with_sbin()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("legacy"))
}

impl Remedy {
    fn apply(self, options: &mut Vec<&'static str>) -> Result<()> {
        match self {
            Self::LegacyIptables => {
                say(
                    "the kernel refuses the new firewall rules: update-alternatives --set iptables /usr/sbin/iptables-legacy",
                );
                for name in ["iptables", "ip6tables"] {
                    let set = Command::new("update-alternatives")
                        .args(["--set", name, &format!("/usr/sbin/{name}-legacy")])
                        .env("PATH", debian::path_with_sbin())
                        .output()?;
                    if !set.status.success() || (name == "iptables" && !uses_legacy_iptables()) {
                        bail!("{name} cannot be set: {}", String::from_utf8_lossy(&set.stderr).trim());
                    }
                }
            }
            Self::PlainLayers => {
                say(
                    "the disk cannot carry layered file systems; each image and container gets a full copy instead",
                );
                options.push(PLAIN_LAYERS);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_layers_gets_full_copies_once() {
        let log = "failed to start daemon: error initializing graphdriver: driver not supported";
        assert_eq!(remedy(log, &[]), Some(Remedy::PlainLayers));
        assert_eq!(remedy(log, &[PLAIN_LAYERS]), None);
    }

    #[test]
    fn a_failure_nobody_knows_has_no_remedy() {
        assert_eq!(remedy("failed to start daemon: the moon is full", &[]), None);
    }

    #[test]
    fn a_program_that_ends_is_not_waited_for() {
        let mut child = Command::new("false").spawn().expect("a program");
        let begun = Instant::now();
        let why = wait(&|| false, Some(&mut child)).expect("a wait");
        assert!(why.is_some_and(|why| why.contains("exit status: 1")));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
