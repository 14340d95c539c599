//! What containers use.

use bollard::Docker;
use bollard::models::{ContainerBlkioStats, ContainerCpuStats, ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::{Stream, StreamExt, future};

use crate::docker::{answered, is_not_found};
use crate::engine::EngineError;
use crate::look::Sample;

pub(super) fn stats(
    docker: &Docker,
    id: &str,
    again: bool,
) -> impl Stream<Item = Result<Sample, EngineError>> + use<> {
    // Without one-shot the engine waits for a second sample, without which there is no percentage.
    let options = StatsOptionsBuilder::new().stream(again).one_shot(false).build();
    docker.stats(id, Some(options)).filter_map(|answer| {
        future::ready(match answer {
            Ok(answer) => Some(Ok(sample(&answer))),
            // It was removed since it was listed.
            Err(error) if is_not_found(&error) => None,
            Err(error) => Some(Err(answered(error))),
        })
    })
}

fn sample(answer: &ContainerStatsResponse) -> Sample {
    let networks = answer.networks.iter().flat_map(|networks| networks.values());
    let network = networks.fold((0, 0), |(received, sent), network| {
        (received + network.rx_bytes.unwrap_or(0), sent + network.tx_bytes.unwrap_or(0))
    });
    Sample {
        cpu: cpu(answer.precpu_stats.as_ref(), answer.cpu_stats.as_ref()).unwrap_or(0.0),
        memory: answer.memory_stats.as_ref().map_or(0, memory),
        memory_limit: answer.memory_stats.as_ref().and_then(|memory| memory.limit).unwrap_or(0),
        network,
        disk: answer.blkio_stats.as_ref().map_or((0, 0), disk),
        processes: answer.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0),
    }
}

/// The share of the machine's time between two samples, times its processors, in percent.
fn cpu(before: Option<&ContainerCpuStats>, now: Option<&ContainerCpuStats>) -> Option<f64> {
    let (before, now) = (before?, now?);
    let used = |stats: &ContainerCpuStats| stats.cpu_usage.as_ref().and_then(|usage| usage.total_usage);
    let container = used(now)?.checked_sub(used(before)?)? as f64;
    let machine = now.system_cpu_usage?.checked_sub(before.system_cpu_usage?)? as f64;
    let listed = now.cpu_usage.as_ref().and_then(|usage| usage.percpu_usage.as_ref()).map(Vec::len);
    let processors =
        now.online_cpus.filter(|count| *count > 0).map(f64::from).or(listed.map(|count| count as f64))?;
    (machine > 0.0).then(|| container / machine * processors * 100.0)
}

/// Memory without the file cache that has not been used lately: control groups 1 and 2 name it differently.
fn memory(memory: &ContainerMemoryStats) -> u64 {
    let usage = memory.usage.unwrap_or(0);
    let stat = |name: &str| memory.stats.as_ref().and_then(|stats| stats.get(name)).copied();
    let cache = stat("total_inactive_file").or_else(|| stat("inactive_file")).unwrap_or(0);
    if cache < usage { usage - cache } else { usage }
}

fn disk(stats: &ContainerBlkioStats) -> (u64, u64) {
    let entries = stats.io_service_bytes_recursive.iter().flatten();
    entries.fold((0, 0), |(read, written), entry| {
        let bytes = entry.value.unwrap_or(0);
        match entry.op.as_deref().and_then(|op| op.chars().next()) {
            Some('r' | 'R') => (read + bytes, written),
            Some('w' | 'W') => (read, written + bytes),
            _ => (read, written),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_what_docker_shows() {
        let answer = serde_json::from_str(
            r#"{
                "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
                "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
                "memory_stats": {"usage": 5000, "limit": 9000, "stats": {"inactive_file": 1000}},
                "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
                "blkio_stats": {"io_service_bytes_recursive": [
                    {"major": 8, "minor": 0, "op": "Read", "value": 5},
                    {"major": 8, "minor": 0, "op": "write", "value": 6}
                ]},
                "pids_stats": {"current": 3}
            }"#,
        );
        let answer: ContainerStatsResponse = answer.expect("an answer of the engine");
        let wanted = Sample {
            cpu: 40.0,
            memory: 4000,
            memory_limit: 9000,
            network: (11, 22),
            disk: (5, 6),
            processes: 3,
        };
        assert_eq!(sample(&answer), wanted);
    }

    #[test]
    fn a_container_that_does_not_run_uses_nothing() {
        assert_eq!(sample(&ContainerStatsResponse::default()), Sample::default());
    }
}
