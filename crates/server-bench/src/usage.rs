//! What processes use, as Linux tells it.

use std::fs;

use anyhow::{Context, Result};

/// Ticks a second of the times in `/proc`, on every Linux there is.
const TICKS: f64 = 100.0;

/// The processor time that a process has used, in seconds, its children left out.
fn seconds(process: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    ticks(&text).map(|ticks| ticks / TICKS)
}

fn ticks(stat: &str) -> Option<f64> {
    // The name stands in parentheses, and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(number(11)? + number(12)?)
}

/// The processor time of several processes together, in seconds. nginx works
/// in processes of its own, so children count, too.
pub(crate) fn processor(processes: &[u32]) -> f64 {
    let children = processes.iter().flat_map(|process| {
        let path = format!("/proc/{process}/task/{process}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()
    });
    processes.iter().copied().chain(children).filter_map(seconds).sum()
}

/// The resident memory of a process, in KiB.
pub(crate) fn resident(process: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).context("no resident memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 900 0 0 0 12 30 5 6 20 0 1 0 100";
        assert_eq!(ticks(stat), Some(42.0));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident(std::process::id()).expect("a figure") > 100);
        assert!(processor(&[std::process::id()]) >= 0.0);
    }
}
