//! Health checks as probes.

use std::time::Duration;

use serde_json::{Map, Value, json};
use stack_file::model::Service;

use crate::manifests::Manifests;

// What an engine takes where the file says nothing.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

impl Manifests<'_> {
    /// Adds probes: one that says when a pod is ready, and one for its start, where the file has a
    /// time for that. None ends a container that was healthy once, as no engine does.
    pub(crate) fn probes(&mut self, service: &Service, container: &mut Map<String, Value>) {
        let Some(check) = &service.healthcheck else { return };
        if check.disable {
            return;
        }
        let command: Vec<&str> = match check.test.split_first() {
            Some((kind, words)) if kind == "CMD" => words.iter().map(String::as_str).collect(),
            Some((kind, words)) if kind == "CMD-SHELL" => {
                ["/bin/sh", "-c"].into_iter().chain(words.iter().map(String::as_str)).collect()
            }
            _ => {
                self.warn(
                    &check.origin,
                    format!("services.{}.healthcheck", service.name.value),
                    "Kubernetes does not know the health check of an image",
                    "write its `test` here",
                );
                return;
            }
        };
        let interval = check.interval.filter(|time| !time.is_zero()).unwrap_or(INTERVAL);
        let timeout = seconds(check.timeout.filter(|time| !time.is_zero()).unwrap_or(TIMEOUT)).max(1);
        let retries = check.retries.filter(|retries| *retries > 0).unwrap_or(RETRIES);
        let probe = |period: Duration, failures: u64| {
            json!({
                "exec": { "command": command },
                "periodSeconds": seconds(period).max(1),
                "timeoutSeconds": timeout,
                "failureThreshold": failures.clamp(1, i32::MAX as u64),
            })
        };
        let start = check.start_period.unwrap_or_default();
        if !start.is_zero() {
            // It has the time of its start, and that of the failures that make it unhealthy.
            let period = check.start_interval.filter(|time| !time.is_zero()).unwrap_or(START_INTERVAL);
            let whole = start.saturating_add(interval.saturating_mul(retries));
            let failures = seconds(whole).div_ceil(seconds(period).max(1));
            container.insert("startupProbe".to_owned(), probe(period, failures));
        }
        container.insert("readinessProbe".to_owned(), probe(interval, u64::from(retries)));
    }
}

/// Whole seconds, rather too many than too few.
pub(crate) fn seconds(time: Duration) -> u64 {
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    // Kubernetes counts with 32 bits.
    whole.min(i32::MAX as u64)
}
