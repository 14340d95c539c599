//! What this machine is, and packages of Debian put onto it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::say;

/// The file that tells package scripts whether they may start services.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// Whether packages come by apt here: Debian, Ubuntu and their kin.
pub(crate) fn is_debian() -> bool {
    std::fs::read_to_string("/etc/os-release").is_ok_and(|text| names_debian(&text)) && has_program("apt-get")
}

fn names_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches('"').split_whitespace())
        .any(|word| matches!(word, "debian" | "ubuntu"))
}

/// Whether a program is to be found, `sbin` included, which users' paths often lack.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into(), "/usr/local/sbin".into()])
        .any(|directory: std::path::PathBuf| directory.join(name).is_file())
}

/// The path of programs with the directories that a plain user's lacks.
pub(crate) fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// Whether systemd runs this machine.
pub(crate) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether the services of new packages start with them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Services {
    Start,
    /// They neither start now nor with the machine: only their programs are wanted.
    StayOff,
}

/// The command a person would type to install these.
pub(crate) fn install_command(packages: &[&str]) -> String {
    format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Installs packages, after saying so.
///
/// Errors where this process is not root or packages do not come by apt; the
/// error then holds what to run. `why` ends the sentence "is needed …".
pub(crate) fn install(packages: &[&str], why: &str, services: Services) -> Result<()> {
    let list = packages.join(" ");
    if !is_debian() {
        bail!("{list}: needed {why}, and packages do not come by apt here; install it, then run this again");
    }
    if !is_root() {
        bail!(
            "{list}: needed {why}; install it as root, then run this again:\n  sudo sh -c '{}'",
            install_command(packages)
        );
    }
    say(&format!("installing {list}: needed {why}\n  {}", install_command(packages)));
    let _off = (services == Services::StayOff).then(ServicesOff::set).transpose()?;
    let before = units();
    apt(&["update"])?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)?;
    if services == Services::StayOff && has_systemd() {
        // The policy keeps them from starting now; packages enable their units all the same.
        let new: Vec<_> = units().into_iter().filter(|unit| !before.contains(unit)).collect();
        let disabled = Command::new("systemctl").arg("disable").args(&new).stdin(Stdio::null()).output();
        if !new.is_empty() && !disabled.is_ok_and(|output| output.status.success()) {
            say(&format!("next: systemctl disable {}; else they start with the machine", new.join(" ")));
        }
    }
    Ok(())
}

/// The services that systemd knows by packages.
fn units() -> Vec<String> {
    let entries = std::fs::read_dir("/lib/systemd/system").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".service")).collect()
}

fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .arg("-qq")
        .args(["-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("apt-get cannot be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("apt-get {} failed: {}\n{}", arguments.join(" "), output.status, last_lines(&said, 15));
    }
    Ok(())
}

/// The end of a long text, each line set in.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(count);
    lines[from..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// While this lives, package scripts start no service. A policy of the machine's own is kept.
struct ServicesOff {
    made: bool,
}

impl ServicesOff {
    fn set() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        if Path::new(POLICY).exists() {
            return Ok(Self { made: false });
        }
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").context("services cannot be kept from starting")?;
        let off = Self { made: true };
        std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))?;
        Ok(off)
    }
}

impl Drop for ServicesOff {
    fn drop(&mut self) {
        if self.made && std::fs::remove_file(POLICY).is_err() {
            say(&format!("{POLICY} could not be removed: as long as it is there, packages start no service"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_kin_are_known() {
        assert!(names_debian("PRETTY_NAME=\"Debian\"\nID=debian\n"));
        assert!(names_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!names_debian("ID=fedora\nNAME=\"not debian\"\n"));
    }

    #[test]
    fn the_end_of_a_text_skips_empty_lines() {
        assert_eq!(last_lines("a\n\nb\nc\n\n", 2), "  b\n  c");
    }
}
