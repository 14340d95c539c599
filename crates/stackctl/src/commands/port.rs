//! `stackctl port`

use std::process::ExitCode;

use anyhow::bail;
use stack_plan::observed::ObservedPort;

use crate::args::Global;
use crate::commands::look::Subject;
use crate::error::{Fault, Kind};
use crate::{render, settings};

/// What `port` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl port web 80")]
pub(crate) struct PortArgs {
    /// The service
    service: String,
    /// The port inside the container, as 80 or 53/udp
    #[arg(value_name = "PORT")]
    port: String,
    /// The number of the container, if the service has several [default: the lowest]
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// The protocol: tcp, udp or sctp [default: tcp]
    #[arg(long, value_name = "NAME")]
    protocol: Option<String>,
}

pub(crate) async fn run(global: &Global, args: PortArgs) -> anyhow::Result<ExitCode> {
    let (target, protocol) = wanted(&args)?;
    let subject = Subject::read(global)?;
    let engine = settings::engine(global, true).await?;
    let listed = subject.containers(&engine, std::slice::from_ref(&args.service), true, false).await?;
    let service = &args.service;
    let mut containers: Vec<_> =
        listed.iter().filter(|container| container.service == *service && !container.one_off).collect();
    containers.sort_by_key(|container| container.number);
    containers.retain(|container| container.state.is_up());
    let container = match args.index {
        Some(number) => match containers.iter().find(|container| container.number == number) {
            Some(container) => container,
            None => bail!("{service} has no running container {number}"),
        },
        None => match containers.first() {
            Some(container) => container,
            None => bail!("{service} does not run"),
        },
    };
    let port = container.ports.iter().find(|port| port.target == target && port.protocol == protocol);
    match port {
        Some(ObservedPort { published: Some(published), host_ip, .. }) => {
            render::line(&format!("{host_ip}:{published}"))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            let published = container.ports.iter().filter(|port| port.published.is_some());
            let mut known: Vec<_> =
                published.map(|port| format!("{}/{}", port.target, port.protocol)).collect();
            known.dedup();
            let known = if known.is_empty() { "no port".to_owned() } else { known.join(", ") };
            bail!("port {target}/{protocol} of {} is not published; it publishes {known}", container.name)
        }
    }
}

/// The port and its protocol.
fn wanted(args: &PortArgs) -> Result<(u16, String), Fault> {
    let (number, protocol) = match args.port.split_once('/') {
        Some((number, protocol)) => (number, Some(protocol)),
        None => (args.port.as_str(), None),
    };
    let target = number.parse().map_err(|_| {
        Fault::new(Kind::Usage, format!("{} is no port", args.port))
            .hint("write a number from 0 to 65535, as 80")
    })?;
    let protocol = protocol.or(args.protocol.as_deref()).unwrap_or("tcp").to_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(Fault::new(Kind::Usage, format!("there is no protocol {protocol}"))
            .hint("there are: tcp, udp, sctp"));
    }
    Ok((target, protocol))
}
