//! A program that hangs must not be waited for.

use std::collections::BTreeMap;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Waits for the end of a program. After `limit` it is killed with all that it has started, and
/// there is no status.
pub(super) fn wait(mut child: Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("a program cannot be waited for")? {
            return Ok(Some(status));
        }
        if begun.elapsed() >= limit {
            for id in descendants(child.id())? {
                // It may have ended meanwhile.
                let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            }
            child.kill().context("a program cannot be killed")?;
            child.wait().context("a program cannot be waited for")?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50).min(limit));
    }
}

/// The processes that a process has started, and those that they have started.
fn descendants(of: u32) -> Result<Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").context("/proc cannot be read")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end between the list and the look.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        // Its name, in parentheses, may hold anything; the state and the parent follow it.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![of];
    while let Some(parent) = next.pop() {
        let of_it = children.remove(&parent).unwrap_or_default();
        next.extend(&of_it);
        found.extend(of_it);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_killed_with_all_that_it_has_started() {
        let marker = format!("{}.5", 600 + std::process::id());
        let child = Command::new("sh").args(["-c", &format!("sleep {marker} & wait")]).spawn().expect("sh");
        let runs = || {
            let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
            let mut commands =
                processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
            commands.any(|command| command == format!("sleep\0{marker}\0"))
        };
        while !runs() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(wait(child, Duration::from_millis(1)).expect("it is waited for").is_none());
        while runs() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_ends_has_its_status() {
        let child = Command::new("false").spawn().expect("false");
        let status = wait(child, Duration::from_secs(60)).expect("it is waited for").expect("a status");
        assert!(!status.success());
    }
}
