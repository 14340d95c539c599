//! The list of containers.

use std::fmt::Write;

use serde_json::{Value, json};
use stack_engine::look::Listed;
use stack_plan::observed::{ContainerState, ObservedPort};
use time::OffsetDateTime;

use crate::render;
use crate::render::format::{Columns, Form, row};
use crate::render::table::shorten;
use crate::render::units::{ago, decimal};
use crate::template::{Labels, Row};

/// How much of a command and of a mount is shown, columns.
const COMMAND: usize = 20;
const MOUNT: usize = 15;

/// What a template may ask for.
pub(crate) const COLUMNS: Columns = Columns {
    fields: &[
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("ExitCode", "EXIT CODE"),
        ("Health", "HEALTH"),
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Labels", "LABELS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Mounts", "MOUNTS"),
        ("Name", "NAME"),
        ("Names", "NAMES"),
        ("Networks", "NETWORKS"),
        ("Ports", "PORTS"),
        ("Project", "PROJECT"),
        ("Publishers", "PUBLISHERS"),
        ("RunningFor", "CREATED"),
        ("Service", "SERVICE"),
        ("Size", "SIZE"),
        ("State", "STATE"),
        ("Status", "STATUS"),
    ],
    usual: &["Name", "Image", "Command", "Service", "RunningFor", "Status", "Ports"],
};

/// The containers in one of the forms; whole ids, commands and mounts if `whole`.
pub(crate) fn show(containers: &[&Listed], form: &Form, whole: bool) -> anyhow::Result<String> {
    let rows: Vec<Row> = containers.iter().map(|container| values(container, whole)).collect();
    form.show(&rows, &COLUMNS, render::width().filter(|_| !whole))
}

fn values(container: &Listed, whole: bool) -> Row {
    let cut = |text: &str, width: usize| if whole { text.to_owned() } else { shorten(text, width) };
    let mounts: Vec<String> = container.mounts.iter().map(|mount| cut(&mount.name, MOUNT)).collect();
    let local = container.mounts.iter().filter(|mount| mount.driver.as_deref() == Some("local")).count();
    let labels: Vec<String> = container.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let exit_code = match container.state {
        ContainerState::Exited(code) => code,
        _ => 0,
    };
    let (written, all) = container.size.unwrap_or_default();
    let size = match all {
        0 => decimal(written as f64),
        all => format!("{} (virtual {})", decimal(written as f64), decimal(all as f64)),
    };
    let id = if whole { &container.id } else { &container.id[..container.id.len().min(12)] };
    row(
        [
            ("Command", format!("\"{}\"", cut(&container.command, COMMAND)).into()),
            ("CreatedAt", date(container.created).into()),
            ("ExitCode", exit_code.into()),
            ("Health", container.health.word().into()),
            ("ID", id.into()),
            ("Image", container.image.as_str().into()),
            ("Labels", labels.join(",").into()),
            ("LocalVolumes", local.to_string().into()),
            ("Mounts", mounts.join(",").into()),
            ("Name", container.name.as_str().into()),
            ("Names", container.name.as_str().into()),
            ("Networks", container.networks.join(",").into()),
            ("Ports", ports(&container.ports).into()),
            ("Project", container.project.as_str().into()),
            ("Publishers", container.ports.iter().map(publisher).collect()),
            ("RunningFor", ago(container.created).into()),
            ("Service", container.service.as_str().into()),
            ("Size", size.into()),
            ("State", container.state.word().into()),
            ("Status", container.status.as_str().into()),
        ],
        Labels::Of(container.labels.clone()),
    )
}

/// A time as Go prints it, in UTC.
fn date(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02}:{:02} +0000 UTC", at.date(), at.hour(), at.minute(), at.second())
}

fn publisher(port: &ObservedPort) -> Value {
    json!({
        "URL": port.host_ip,
        "TargetPort": port.target,
        "PublishedPort": port.published.unwrap_or(0),
        "Protocol": port.protocol,
    })
}

/// A range of ports that are published under their own number, or only exposed.
struct Range<'a> {
    host_ip: &'a str,
    protocol: &'a str,
    first: u16,
    last: u16,
}

impl Range<'_> {
    fn show(&self) -> String {
        let mut ports = self.first.to_string();
        if self.last != self.first {
            let _ = write!(ports, "-{}", self.last);
        }
        match self.host_ip {
            "" => format!("{ports}/{}", self.protocol),
            ip => format!("{}->{ports}/{}", host(ip, &ports), self.protocol),
        }
    }
}

/// The ports in one line, as docker writes them: those that follow each other are a range.
fn ports(ports: &[ObservedPort]) -> String {
    let mut shown = Vec::new();
    let mut ranges: Vec<Range<'_>> = Vec::new();
    let mut mapped = Vec::new();
    for port in ports {
        if let Some(published) = port.published
            && published != port.target
        {
            mapped.push(format!(
                "{}->{}/{}",
                host(&port.host_ip, &published.to_string()),
                port.target,
                port.protocol
            ));
            continue;
        }
        let new =
            Range { host_ip: &port.host_ip, protocol: &port.protocol, first: port.target, last: port.target };
        let known =
            ranges.iter_mut().find(|range| range.host_ip == new.host_ip && range.protocol == new.protocol);
        match known {
            None => ranges.push(new),
            Some(range) if range.last.checked_add(1) == Some(port.target) => range.last = port.target,
            Some(range) => shown.push(std::mem::replace(range, new).show()),
        }
    }
    shown.extend(ranges.iter().map(Range::show));
    shown.extend(mapped);
    shown.join(", ")
}

/// An address and its port.
fn host(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_ip: &str, published: Option<u16>, target: u16, protocol: &str) -> ObservedPort {
        ObservedPort { target, published, host_ip: host_ip.to_owned(), protocol: protocol.to_owned() }
    }

    #[test]
    fn ports_are_written_as_docker_writes_them() {
        let found = [
            port("0.0.0.0", Some(32768), 53, "udp"),
            port("::", Some(32768), 53, "udp"),
            port("127.0.0.1", Some(18091), 80, "tcp"),
            port("", None, 6379, "tcp"),
        ];
        assert_eq!(
            ports(&found),
            "6379/tcp, 0.0.0.0:32768->53/udp, [::]:32768->53/udp, 127.0.0.1:18091->80/tcp"
        );
        let range = [
            port("0.0.0.0", Some(8000), 8000, "tcp"),
            port("0.0.0.0", Some(8001), 8001, "tcp"),
            port("0.0.0.0", Some(8003), 8003, "tcp"),
        ];
        assert_eq!(ports(&range), "0.0.0.0:8000-8001->8000-8001/tcp, 0.0.0.0:8003->8003/tcp");
        assert_eq!(ports(&[]), "");
    }

    #[test]
    fn a_time_is_that_of_go() {
        assert_eq!(date(1_795_596_225), "2026-11-25 08:43:45 +0000 UTC");
    }
}
