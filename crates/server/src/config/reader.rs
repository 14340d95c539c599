//! Reads single variables, and keeps every fault.

use std::fmt;
use std::time::Duration;

use super::{Origins, SETTINGS, Secret};
use crate::store::redis::Address;

pub(super) struct Reader<L> {
    lookup: L,
    pub(super) faults: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    pub(super) fn new(lookup: L) -> Self {
        Self { lookup, faults: Vec::new() }
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn fault(&mut self, name: &str, value: &str, expected: &str) {
        self.faults.push(format!("{name}={value:?}: expected {expected}"));
    }

    /// A number within bounds; the default is the one that the table of settings tells.
    pub(super) fn number<N>(&mut self, name: &str, least: N, most: N) -> N
    where
        N: std::str::FromStr + PartialOrd + fmt::Display + Copy,
    {
        let default = SETTINGS.iter().find(|(found, ..)| *found == name).and_then(|row| row.1.parse().ok());
        let default = default.unwrap_or(least);
        let Some(value) = self.value(name) else { return default };
        match value.parse::<N>() {
            Ok(number) if number >= least && number <= most => number,
            _ => {
                self.fault(name, &value, &format!("a whole number from {least} to {most}"));
                default
            }
        }
    }

    pub(super) fn seconds(&mut self, name: &str, most: u64) -> Duration {
        Duration::from_secs(self.number(name, 1, most))
    }

    /// A secret, which a fault never repeats.
    pub(super) fn secret(&mut self, name: &str, least: usize) -> Option<Secret> {
        let value = self.value(name)?;
        if value.len() < least {
            self.faults.push(format!("{name}=…: expected {least} bytes or more, and it has {}", value.len()));
        }
        Some(Secret(value))
    }

    pub(super) fn server_id(&mut self) -> String {
        if let Some(value) = self.value("SERVER_ID") {
            if !is_server_id(&value) {
                self.fault("SERVER_ID", &value, "1 to 64 of the characters A-Z a-z 0-9 _ . -");
            }
            return value;
        }
        let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        self.value("HOSTNAME")
            .or_else(kernel)
            .map(|name| name.trim().to_owned())
            .filter(|name| is_server_id(name))
            .unwrap_or_else(|| format!("server-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]))
    }

    pub(super) fn redis(&mut self) -> Option<Address> {
        let port = self.number("REDIS_PORT", 1, u16::MAX);
        match (self.value("REDIS_URL"), self.value("REDIS_HOST")) {
            (Some(_), Some(host)) => {
                self.fault("REDIS_HOST", &host, "nothing, because REDIS_URL is set too");
                None
            }
            (Some(url), None) => match Address::url(&url) {
                Ok(address) => Some(address),
                Err(reason) => {
                    // The value may hold a password.
                    self.faults.push(format!(
                        "REDIS_URL=…: {reason}; expected redis://[user:password@]host[:port][/database], redis-sentinel://… or redis-cluster://…"
                    ));
                    None
                }
            },
            (None, Some(host)) => {
                if host.contains(['/', '@', ' ']) || host.matches(':').count() == 1 {
                    self.fault("REDIS_HOST", &host, "a host name or address alone (the port is REDIS_PORT)");
                    return None;
                }
                Some(Address::host(&host, port))
            }
            (None, None) => None,
        }
    }

    pub(super) fn log_level(&mut self) -> tracing::Level {
        let Some(value) = self.value("LOG_LEVEL") else { return tracing::Level::INFO };
        match value.to_ascii_lowercase().as_str() {
            "error" => tracing::Level::ERROR,
            "warn" => tracing::Level::WARN,
            "info" => tracing::Level::INFO,
            "debug" => tracing::Level::DEBUG,
            "trace" => tracing::Level::TRACE,
            _ => {
                self.fault("LOG_LEVEL", &value, "error, warn, info, debug or trace");
                tracing::Level::INFO
            }
        }
    }

    pub(super) fn origins(&mut self) -> Origins {
        let Some(value) = self.value("ALLOWED_ORIGINS") else { return Origins::SameHost };
        let mut listed = Vec::new();
        for origin in value.split(',').map(str::trim).filter(|origin| !origin.is_empty()) {
            if origin == "*" {
                return Origins::Any;
            }
            let origin = origin.trim_end_matches('/').to_ascii_lowercase();
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '@', ' ', '*', '?', '#'])) {
                self.fault(
                    "ALLOWED_ORIGINS",
                    &origin,
                    "origins such as https://example.org, with commas between them, or *",
                );
            }
            listed.push(origin);
        }
        Origins::Listed(listed)
    }
}

fn is_server_id(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
