//! What containers may use, and what is kept free for them.

use serde_json::{Map, Value, json};
use stack_file::model::Service;

use crate::manifests::Manifests;

/// Shares that an engine gives for one processor.
const SHARES: f64 = 1024.0;
/// The period of the CPU limit where the file says nothing, microseconds.
const PERIOD: f64 = 100_000.0;

/// Whether a text is an amount of bytes as Kubernetes writes it: `10Gi`, `500M`.
#[must_use]
pub fn is_quantity(text: &str) -> bool {
    let digits = text.trim_end_matches(|each: char| each.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    digits.parse::<u64>().is_ok_and(|number| number > 0)
        && digits.bytes().all(|each| each.is_ascii_digit())
        && ["", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"].contains(&unit)
}

/// Bytes as Kubernetes writes them.
pub(crate) fn bytes(number: u64) -> String {
    for (unit, size) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if number >= size && number.is_multiple_of(size) {
            return format!("{}{unit}", number / size);
        }
    }
    number.to_string()
}

/// Processors as Kubernetes writes them, in thousandths.
fn processors(thousandths: u64) -> String {
    if thousandths.is_multiple_of(1000) {
        (thousandths / 1000).to_string()
    } else {
        format!("{thousandths}m")
    }
}

fn thousandths(processors: f64) -> Option<u64> {
    (processors > 0.0 && processors.is_finite()).then_some(())?;
    let number = format!("{:.0}", (processors * 1000.0).ceil());
    number.parse().ok().map(|number: u64| number.max(1))
}

impl Manifests<'_> {
    pub(crate) fn resources(&mut self, service: &Service) -> Value {
        let mut limits = Map::new();
        let mut requests = Map::new();
        let quota = service.cpu_quota.as_ref().filter(|quota| quota.value > 0);
        let period = service.cpu_period.as_ref().filter(|period| period.value > 0);
        let cpu = match (&service.cpus, quota) {
            (Some(cpus), _) => thousandths(cpus.value),
            (None, Some(quota)) => {
                thousandths(quota.value as f64 / period.map_or(PERIOD, |period| period.value as f64))
            }
            (None, None) => None,
        };
        let written = self.stack.written_service(&service.name);
        let reserved = written
            .and_then(|node| {
                node.get("deploy")?.get("resources")?.get("reservations")?.get("cpus")?.as_scalar()
            })
            .and_then(|scalar| scalar.text.parse().ok())
            .and_then(thousandths);
        let shares = service.cpu_shares.as_ref().filter(|shares| shares.value > 0);
        let request =
            reserved.or_else(|| shares.and_then(|shares| thousandths(shares.value as f64 / SHARES)));
        if let Some(cpu) = cpu {
            limits.insert("cpu".to_owned(), json!(processors(cpu)));
        }
        if let Some(request) = request {
            // No more can be kept free than may be used.
            requests.insert("cpu".to_owned(), json!(processors(cpu.map_or(request, |cpu| cpu.min(request)))));
        }
        let memory = service.mem_limit.as_ref().map(|limit| limit.value).filter(|limit| *limit > 0);
        if let Some(memory) = memory {
            limits.insert("memory".to_owned(), json!(bytes(memory)));
        }
        if let Some(reserved) = service.mem_reservation.as_ref().filter(|reserved| reserved.value > 0) {
            let reserved = memory.map_or(reserved.value, |memory| memory.min(reserved.value));
            requests.insert("memory".to_owned(), json!(bytes(reserved)));
        }
        self.devices(service, &mut limits);
        let mut resources = Map::new();
        for (key, amounts) in [("limits", limits), ("requests", requests)] {
            if !amounts.is_empty() {
                resources.insert(key.to_owned(), Value::Object(amounts));
            }
        }
        Value::Object(resources)
    }

    /// Graphics processors are counted under the name of who makes them.
    fn devices(&mut self, service: &Service, limits: &mut Map<String, Value>) {
        for request in &service.device_requests {
            let is_gpu = request.capabilities.iter().any(|capability| capability == "gpu");
            let vendor = match request.driver.as_deref() {
                None | Some("" | "nvidia") => Some("nvidia.com/gpu"),
                Some("amd") => Some("amd.com/gpu"),
                Some(_) => None,
            };
            match (vendor, request.count) {
                (Some(vendor), Some(count @ 1..)) if is_gpu && request.device_ids.is_empty() => {
                    limits.insert(vendor.to_owned(), json!(count.to_string()));
                }
                _ => self.warn(
                    &request.origin,
                    format!("services.{}.gpus", service.name.value),
                    "Kubernetes counts devices: it takes neither all of a node nor single ones",
                    "ask for graphics processors by `count`",
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_kubernetes_has_them() {
        assert_eq!(bytes(64 << 20), "64Mi");
        assert_eq!(bytes(1000), "1000");
        assert_eq!(processors(1500), "1500m");
        assert_eq!(processors(2000), "2");
        assert_eq!(thousandths(0.5), Some(500));
        assert_eq!(thousandths(0.0001), Some(1));
        assert_eq!(thousandths(0.0), None);
        assert!(is_quantity("10Gi") && is_quantity("5") && !is_quantity("Gi") && !is_quantity("-1Gi"));
        assert!(!is_quantity("1 Gi") && !is_quantity("0") && !is_quantity("1GB"));
    }
}
