//! What is looked at, how it is, and what to do about it.

use stack_engine::checkup::{Checkup, CredentialsCheckup};
use stack_engine::docker::DockerEngine;

use crate::record;
use crate::render::words;

/// One thing that was looked at.
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) state: State,
    /// What was found.
    pub(super) text: String,
    /// What to do about it; empty where there is nothing to do.
    pub(super) next: String,
}

/// How it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Well,
    /// It works, and may not for long, or not for all.
    Warning,
    Wrong,
    /// It cannot be seen from here.
    Unknown,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
        }
    }
}

fn check(name: &'static str, state: State, text: impl Into<String>, next: &str) -> Check {
    Check { name, state, text: text.into(), next: next.to_owned() }
}

/// What the engine tells, and what can be seen of its machine when that is this one.
pub(super) fn of_engine(engine: &DockerEngine, found: &Checkup, checks: &mut Vec<Check>) {
    let connection = engine.connection();
    checks.push(check(
        "engine",
        State::Well,
        format!("Docker Engine {} at {} ({})", found.version, connection.address, connection.source),
        "",
    ));
    let version = format!(
        "API {}.{}, {}, kernel {}, {} processors, {} of memory",
        found.api.0,
        found.api.1,
        found.system,
        found.kernel,
        found.processors,
        words::size(found.memory)
    );
    checks.push(check("version", State::Well, version, ""));
    checks.push(if found.rootless {
        let text = "the engine runs without root: ports below 1024 and some limits may be refused";
        check("permissions", State::Warning, text, "publish ports from 1024 on, or let the kernel allow lower ones: sysctl net.ipv4.ip_unprivileged_port_start")
    } else {
        check("permissions", State::Well, "this user may use the engine", "")
    });
    checks.push(storage(found));
    checks.push(if connection.is_remote() {
        check("disk", State::Unknown, format!("{} is on another machine", found.root), "see it there: df -h")
    } else {
        disk(&found.root)
    });
    checks.push(cgroups(found));
    checks.push(if found.forwards {
        check("forwarding", State::Well, "the engine's machine forwards packets to containers", "")
    } else {
        check(
            "forwarding",
            State::Wrong,
            "the engine's machine does not forward packets: published ports lead nowhere",
            "sysctl -w net.ipv4.ip_forward=1, and write it to /etc/sysctl.d",
        )
    });
    checks.push(networks(found.networks));
    if !connection.is_remote() {
        checks
            .push(bridges(&found.bridges, |name| std::path::Path::new("/sys/class/net").join(name).exists()));
    }
    checks.push(if connection.is_remote() {
        check("dns", State::Unknown, "the engine is on another machine", "see there: cat /etc/resolv.conf")
    } else {
        dns(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
    });
    checks.push(clock(found));
    checks.push(swarm(found.swarm, connection.is_remote()));
    for warning in &found.warnings {
        let text = warning.trim_start_matches("WARNING: ");
        // Limits that cannot be kept are told above.
        if !text.ends_with("limit support") {
            checks.push(check("engine says", State::Warning, text, ""));
        }
    }
}

fn storage(found: &Checkup) -> Check {
    match found.storage.as_str() {
        "vfs" => check(
            "storage",
            State::Warning,
            "vfs: every container and every layer is a whole copy, slow and large",
            "let the engine use overlay2: it needs a file system other than overlay below it",
        ),
        "devicemapper" | "aufs" => check(
            "storage",
            State::Warning,
            format!("{}: newer engines do not have it any more", found.storage),
            "move to overlay2",
        ),
        driver => check("storage", State::Well, format!("{driver} at {}", found.root), ""),
    }
}

/// Below so much free space, bytes or parts of the whole, builds and pulls are likely to fail.
#[cfg(unix)]
const LITTLE: (u64, u64) = (2_000_000_000, 20);
#[cfg(unix)]
const NOTHING: u64 = 200_000_000;

#[cfg(unix)]
fn disk(root: &str) -> Check {
    let next =
        "free space: docker system df shows what takes it, docker system prune removes what nothing uses";
    match rustix::fs::statvfs(root) {
        Ok(found) => {
            let size = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            let (free, all) = (size(found.f_bavail), size(found.f_blocks));
            let text = format!("{} of {} free at {root}", words::size(free), words::size(all));
            if found.f_files > 0 && found.f_favail == 0 {
                return check("disk", State::Wrong, format!("no room for another file at {root}"), next);
            }
            match free {
                _ if free < NOTHING => check("disk", State::Wrong, text, next),
                _ if free < LITTLE.0.min(all / LITTLE.1) => check("disk", State::Warning, text, next),
                _ => check("disk", State::Well, text, ""),
            }
        }
        Err(error) => check(
            "disk",
            State::Unknown,
            format!("{root} cannot be seen from here: {error}"),
            "see it with: df -h",
        ),
    }
}

#[cfg(not(unix))]
fn disk(root: &str) -> Check {
    check("disk", State::Unknown, format!("{root} is in the engine's own machine"), "")
}

fn cgroups(found: &Checkup) -> Check {
    let version = found.cgroups.map(|version| format!("version {version}, ")).unwrap_or_default();
    let text = format!("{version}managed by {}", found.cgroup_driver);
    if found.missing_limits.is_empty() {
        return check("cgroups", State::Well, text, "");
    }
    let missing = found.missing_limits.join(", ");
    check(
        "cgroups",
        State::Warning,
        format!("{text}; the kernel cannot limit: {missing}"),
        "boot it with cgroup_enable=memory swapaccount=1, or do not count on these limits",
    )
}

fn networks((places, taken): (u64, u64)) -> Check {
    let text = format!("{taken} of {places} networks of the address pools are in use");
    let next = "remove what nothing uses: docker network prune; or give the engine more: default-address-pools in daemon.json";
    match places.saturating_sub(taken) {
        0 => check("addresses", State::Wrong, format!("{text}: no other network can be made"), next),
        1..=3 => check("addresses", State::Warning, text, next),
        _ => check("addresses", State::Well, text, ""),
    }
}

/// Whether the interfaces of the engine's networks are there. Where none is, the engine has a
/// machine, or a view of the network, of its own.
fn bridges(of: &[(String, String)], is_there: impl Fn(&str) -> bool) -> Check {
    let gone: Vec<String> = (of.iter())
        .filter(|(bridge, _)| !is_there(bridge))
        .map(|(bridge, network)| format!("{bridge} of the network {network}"))
        .collect();
    match gone.len() {
        0 => check("bridges", State::Well, "the interfaces of all networks are there", ""),
        count if count == of.len() => check(
            "bridges",
            State::Unknown,
            "the engine's interfaces cannot be seen from here",
            "see them there: ip link",
        ),
        _ => check(
            "bridges",
            State::Wrong,
            format!("gone: {}; no container can join", gone.join(", ")),
            "restart the engine, so that it makes them anew",
        ),
    }
}

fn dns(resolv: &str) -> Check {
    let servers: Vec<&str> = (resolv.lines())
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .map(str::trim)
        .filter(|server| !server.is_empty())
        .collect();
    match servers.is_empty() {
        true => check(
            "dns",
            State::Warning,
            "/etc/resolv.conf names no server: containers ask Google's, if they reach them",
            "name one there, or in the engine's daemon.json: \"dns\": [\"…\"]",
        ),
        false => check("dns", State::Well, format!("names are asked of {}", servers.join(", ")), ""),
    }
}

/// From this on, times of logs and health checks mislead.
const APART: i64 = 2_000;
/// From this on, certificates and tokens are refused.
const FAR_APART: i64 = 300_000;

fn clock(found: &Checkup) -> Check {
    let Some(ahead) = found.clock_ahead else {
        return check("clock", State::Unknown, "the engine does not tell its time", "");
    };
    // What asking took is no fault of the clock.
    let apart = ahead.abs().saturating_sub(found.clock_error);
    let time = words::took(std::time::Duration::from_millis(ahead.unsigned_abs()));
    let side = if ahead < 0 { "behind" } else { "ahead of" };
    let text = format!("the engine's clock is {time} {side} ours");
    let next = "set the clock of both machines by a time server: timedatectl set-ntp true";
    match apart {
        _ if apart >= FAR_APART => check("clock", State::Wrong, text, next),
        _ if apart >= APART => check("clock", State::Warning, text, next),
        _ => check("clock", State::Well, "the engine's clock agrees with ours", ""),
    }
}

fn swarm(active: bool, remote: bool) -> Check {
    if remote {
        let text = if active { "the engine is in a Swarm" } else { "the engine is in no Swarm" };
        return check("swarm", State::Well, text, "");
    }
    let ipvs = std::path::Path::new("/proc/net/ip_vs").exists()
        || std::path::Path::new("/sys/module/ip_vs").exists();
    match (active, ipvs) {
        (true, true) => check("swarm", State::Well, "the engine is in a Swarm, and the kernel has IPVS", ""),
        (true, false) => check(
            "swarm",
            State::Wrong,
            "the engine is in a Swarm, and the kernel has no IPVS: services are not reached by their virtual address",
            "load it: modprobe ip_vs; where that cannot be, use endpoint_mode: dnsrr and ports in mode: host",
        ),
        (false, true) => {
            check("swarm", State::Well, "the engine is in no Swarm; the kernel has IPVS for one", "")
        }
        (false, false) => check(
            "swarm",
            State::Well,
            "the engine is in no Swarm; for one, the kernel's IPVS is not loaded",
            "",
        ),
    }
}

pub(super) fn credentials(found: &CredentialsCheckup) -> Vec<Check> {
    const NAME: &str = "credentials";
    if let Some(fault) = &found.fault {
        let next = "correct docker's config.json, or move it away and log in again: docker login";
        return vec![check(NAME, State::Wrong, format!("docker's configuration: {fault}"), next)];
    }
    if found.helpers.is_empty() {
        return vec![match found.plain.len() {
            0 => check(NAME, State::Well, "none: images come from registries that need no login", ""),
            _ => check(
                NAME,
                State::Warning,
                format!(
                    "{} in docker's config.json, readable by whoever reads that file",
                    found.plain.join(", ")
                ),
                "keep them in a helper: \"credsStore\" in config.json, then docker login again",
            ),
        }];
    }
    let of_helper = |(program, answer): &(String, Result<usize, String>)| match answer {
        Ok(1) => check(NAME, State::Well, format!("{program} knows 1 registry"), ""),
        Ok(count) => check(NAME, State::Well, format!("{program} knows {count} registries"), ""),
        Err(why) => check(
            NAME,
            State::Wrong,
            format!("the helper does not work: {why}"),
            "install it where PATH finds it, or take it out of docker's config.json and log in again",
        ),
    };
    found.helpers.iter().map(of_helper).collect()
}

/// Whether what keeps two runs apart, and the record of the last, can be written.
pub(super) fn state_directory() -> Check {
    let folder = record::state_directory();
    let written = std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder));
    match written {
        Ok(_) => check("state", State::Well, format!("{} can be written", folder.display()), ""),
        Err(error) => check(
            "state",
            State::Warning,
            format!(
                "{} cannot be written: {error}; two runs could change a project at once",
                folder.display()
            ),
            "make it writable, or name another with XDG_STATE_HOME",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_remedy() {
        let bad = Checkup {
            storage: "vfs".to_owned(),
            missing_limits: vec!["memory"],
            clock_ahead: Some(-400_000),
            ..Checkup::default()
        };
        let fault = CredentialsCheckup { fault: Some("no JSON".to_owned()), ..CredentialsCheckup::default() };
        let helper = ("docker-credential-x".to_owned(), Err("not found".to_owned()));
        let helper = CredentialsCheckup { helpers: vec![helper], ..CredentialsCheckup::default() };
        let plain = CredentialsCheckup { plain: vec!["r".to_owned()], ..CredentialsCheckup::default() };
        let mut checks = vec![storage(&bad), cgroups(&bad), clock(&bad), networks((31, 31)), dns("")];
        checks.extend([swarm(true, true), networks((31, 29))]);
        let two = [("docker0".to_owned(), "bridge".to_owned()), ("br-1".to_owned(), "a_default".to_owned())];
        checks.push(bridges(&two, |name| name != "docker0"));
        assert!(bridges(&two, |_| true).state == State::Well);
        assert!(bridges(&two, |_| false).state == State::Unknown);
        checks.extend([fault, helper, plain].iter().flat_map(credentials));
        let states: Vec<_> = checks.iter().map(|check| (check.name, check.state.word())).collect();
        assert_eq!(
            states,
            [
                ("storage", "warning"),
                ("cgroups", "warning"),
                ("clock", "wrong"),
                ("addresses", "wrong"),
                ("dns", "warning"),
                ("swarm", "well"),
                ("addresses", "warning"),
                ("bridges", "wrong"),
                ("credentials", "wrong"),
                ("credentials", "wrong"),
                ("credentials", "warning"),
            ]
        );
        for check in checks {
            let is_bad = matches!(check.state, State::Warning | State::Wrong);
            assert_eq!(is_bad, !check.next.is_empty(), "{}: {}", check.name, check.text);
        }
    }

    #[test]
    fn what_asking_took_is_no_fault_of_the_clock() {
        let slow = Checkup { clock_ahead: Some(2_500), clock_error: 1_000, ..Checkup::default() };
        assert!(clock(&slow).state == State::Well);
        let apart = Checkup { clock_ahead: Some(2_500), clock_error: 10, ..Checkup::default() };
        assert!(clock(&apart).state == State::Warning);
    }
}
