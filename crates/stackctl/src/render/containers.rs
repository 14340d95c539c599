//! The list of containers.

use serde_json::json;
use stack_plan::observed::{ContainerState, ObservedContainer, ObservedPort};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A table for people.
pub(crate) fn table(containers: &[&ObservedContainer]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]);
    for container in containers {
        table.add_row([
            container.name.clone(),
            container.image.clone(),
            command(&container.command),
            container.service.clone(),
            format!("{} ago", age(container.created)),
            container.status.clone(),
            ports(&container.ports),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if text.is_empty() {
        text.push('\n');
    }
    text
}

/// One JSON object per line, in the shape of docker compose.
pub(crate) fn json(containers: &[&ObservedContainer], project: &str) -> String {
    let line = |container: &&ObservedContainer| {
        let created =
            OffsetDateTime::from_unix_timestamp(container.created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let publishers: Vec<_> = container
            .ports
            .iter()
            .map(|port| {
                json!({
                    "URL": port.host_ip,
                    "TargetPort": port.target,
                    "PublishedPort": port.published.unwrap_or(0),
                    "Protocol": port.protocol,
                })
            })
            .collect();
        let exit_code = match container.state {
            ContainerState::Exited(code) => code,
            _ => 0,
        };
        let volumes: Vec<_> = container.volumes.iter().map(|mount| mount.name.as_str()).collect();
        let networks: Vec<_> = container.networks.keys().map(String::as_str).collect();
        let line = json!({
            "ID": &container.id[..container.id.len().min(12)],
            "Name": container.name,
            "Names": container.name,
            "Project": project,
            "Service": container.service,
            "Image": container.image,
            "Command": format!("\"{}\"", container.command),
            "CreatedAt": created.format(&Rfc3339).unwrap_or_default(),
            "RunningFor": format!("{} ago", age(container.created)),
            "State": container.state.word(),
            "Status": container.status,
            "Health": container.health.word(),
            "ExitCode": exit_code,
            "Mounts": volumes.join(","),
            "Networks": networks.join(","),
            "Ports": ports(&container.ports),
            "Publishers": publishers,
        });
        format!("{line}\n")
    };
    containers.iter().map(line).collect()
}

fn command(command: &str) -> String {
    const WIDTH: usize = 20;
    let short: String = command.chars().take(WIDTH - 1).collect();
    if command.chars().count() < WIDTH { format!("\"{command}\"") } else { format!("\"{short}…\"") }
}

fn ports(ports: &[ObservedPort]) -> String {
    let one = |port: &ObservedPort| match port.published {
        Some(published) if port.host_ip.contains(':') => {
            format!("[{}]:{published}->{}/{}", port.host_ip, port.target, port.protocol)
        }
        Some(published) => format!("{}:{published}->{}/{}", port.host_ip, port.target, port.protocol),
        None => format!("{}/{}", port.target, port.protocol),
    };
    ports.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// How long ago, in the largest unit that makes two or more.
fn age(created: i64) -> String {
    let seconds = OffsetDateTime::now_utc().unix_timestamp().saturating_sub(created).max(0);
    let units = [("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)];
    let (unit, size) = units.into_iter().find(|(_, size)| seconds >= 2 * size).unwrap_or(("second", 1));
    let count = seconds / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
