//! Published and exposed ports.

use std::net::IpAddr;

use super::{Fault, implied, mapping};
use crate::canonical::text;
use crate::source::Origin;
use crate::tree::{Kind, Node, ScalarKind};

/// A port, or the first and the last of a range.
type Range = (u16, u16);

/// `[[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL]` as long forms, ranges unrolled.
pub(crate) fn long(short: &str, origin: &Origin) -> Result<Vec<Node>, Fault> {
    let (ports, protocol) = short.rsplit_once('/').unwrap_or((short, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(Fault::new(format!("`{protocol}` is no protocol"), "use tcp, udp or sctp"));
    }
    let (host, target) = match ports.rsplit_once(':') {
        Some((host, target)) => (Some(host), target),
        None => (None, ports),
    };
    let (address, published) = match host.map(|host| host.rsplit_once(':')) {
        None => ("", ""),
        Some(None) => ("", host.unwrap_or_default()),
        Some(Some((address, published))) => (address, published),
    };
    let address = match address {
        "" => None,
        address => Some(ip(address)?),
    };
    let targets = range(target, false)?;
    let published = if published.is_empty() { None } else { Some(range(published, true)?) };
    let length = |(first, last): Range| u32::from(last) - u32::from(first);
    let one = |target: u16, published: Option<String>| {
        let at = |text: String| Node::string(text, origin.clone());
        let number = Node::scalar(target.to_string(), ScalarKind::Integer, origin.clone());
        let entries = [
            Some(("target", number)),
            published.map(|text| ("published", at(text))),
            address.clone().map(|text| ("host_ip", at(text))),
            Some(("protocol", at(protocol.clone()))),
        ];
        Node { kind: mapping(entries.into_iter().flatten()), origin: origin.clone() }
    };
    match published {
        None => Ok((targets.0..=targets.1).map(|target| one(target, None)).collect()),
        Some(published) if length(published) == length(targets) => Ok((targets.0..=targets.1)
            .zip(published.0..=published.1)
            .map(|(target, published)| one(target, Some(published.to_string())))
            .collect()),
        Some((first, last)) if targets.0 == targets.1 => {
            Ok(vec![one(targets.0, Some(format!("{first}-{last}")))])
        }
        Some(_) => Err(Fault::new(
            format!("`{ports}` pairs unequal ranges of ports"),
            "give as many published ports as ports in the container",
        )),
    }
}

/// Defaults and checks of a long form: protocol `tcp`, a valid address, a valid published port.
pub(crate) fn settle_port(node: &mut Node) -> Result<(), Fault> {
    let origin = node.origin.clone();
    let published = match node.get("published").map(text) {
        None => None,
        Some(published) => Some(range(published, true)?),
    };
    let address = node.get("host_ip").map(text).map(ip).transpose()?;
    match node.get("target").map(text).and_then(|target| target.parse::<u32>().ok()) {
        None => return Err(Fault::new("a published port needs a `target`", "add `target: 80`")),
        Some(1..=65535) => {}
        Some(_) => return Err(Fault::new("a port lies between 1 and 65535", "correct `target`")),
    }
    let Kind::Mapping(entries) = &mut node.kind else { return Ok(()) };
    if let (Some((first, last)), Some(entry)) = (published, entries.get_mut("published")) {
        let text = if first == last { first.to_string() } else { format!("{first}-{last}") };
        entry.node = Node::string(text, entry.node.origin.clone());
    }
    if let (Some(address), Some(entry)) = (address, entries.get_mut("host_ip")) {
        entry.node = Node::string(address, entry.node.origin.clone());
    }
    if !entries.contains_key("protocol") {
        implied(entries, "protocol", Node::string("tcp", origin));
    }
    Ok(())
}

/// Exposed ports, each with its protocol, ranges unrolled.
pub(crate) fn exposed(items: Vec<Node>) -> Result<Vec<Node>, Fault> {
    let mut ports = Vec::with_capacity(items.len());
    for item in items {
        if item.as_scalar().is_none_or(|scalar| scalar.kind == ScalarKind::Null) {
            ports.push(item);
            continue;
        }
        let written = text(&item);
        let (port, protocol) = written.split_once('/').unwrap_or((written, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(
                Fault::new(format!("`{protocol}` is no protocol"), "use tcp, udp or sctp").at(&item.origin)
            );
        }
        let (first, last) = range(port, false).map_err(|fault| fault.at(&item.origin))?;
        ports.extend(
            (first..=last).map(|port| Node::string(format!("{port}/{protocol}"), item.origin.clone())),
        );
    }
    Ok(ports)
}

/// A port or a range; 0 is one where the engine may choose.
fn range(written: &str, zero: bool) -> Result<Range, Fault> {
    let fault = || {
        Fault::new(
            format!("`{written}` is no port"),
            "a port is a number between 1 and 65535, or a range such as 8000-8010",
        )
    };
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = text.parse().ok().filter(|_| digits)?;
        (port > 0 || zero).then_some(port)
    };
    let (first, last) = written.split_once('-').unwrap_or((written, written));
    let (first, last) = (port(first).ok_or_else(fault)?, port(last).ok_or_else(fault)?);
    if first > last {
        return Err(Fault::new(
            format!("the range {first}-{last} ends before it begins"),
            format!("write {last}-{first}"),
        ));
    }
    Ok((first, last))
}

fn ip(written: &str) -> Result<String, Fault> {
    let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(Fault::new(
            format!("`{written}` is no address"),
            "give an IP address such as 127.0.0.1; a name cannot stand here",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{long, settle_port};
    use crate::canonical::text;
    use crate::source::{Origin, Sources};
    use proptest::prelude::*;

    fn origin() -> Origin {
        let mut sources = Sources::default();
        Origin { source: sources.add("test", None, ""), span: (0..0).into(), via: None }
    }

    fn ports(short: &str) -> Result<Vec<String>, String> {
        let nodes = long(short, &origin()).map_err(|fault| fault.message)?;
        nodes
            .into_iter()
            .map(|mut node| {
                settle_port(&mut node).map_err(|fault| fault.message)?;
                let part = |key| node.get(key).map_or("-", text).to_owned();
                Ok(format!(
                    "{} {} {} {}",
                    part("host_ip"),
                    part("published"),
                    part("target"),
                    part("protocol")
                ))
            })
            .collect()
    }

    #[test]
    fn every_form_of_a_port() {
        for (short, long) in [
            ("80", vec!["- - 80 tcp"]),
            ("8080:80", vec!["- 8080 80 tcp"]),
            ("8080:80/udp", vec!["- 8080 80 udp"]),
            ("127.0.0.1:8080:80", vec!["127.0.0.1 8080 80 tcp"]),
            ("127.0.0.1::80", vec!["127.0.0.1 - 80 tcp"]),
            ("[::1]:8080:80", vec!["::1 8080 80 tcp"]),
            ("0:80", vec!["- 0 80 tcp"]),
            (":80", vec!["- - 80 tcp"]),
            ("8080-8081:80-81", vec!["- 8080 80 tcp", "- 8081 81 tcp"]),
            ("9000-9005:90", vec!["- 9000-9005 90 tcp"]),
            ("70-71", vec!["- - 70 tcp", "- - 71 tcp"]),
        ] {
            assert_eq!(ports(short).expect(short), long, "{short}");
        }
        for short in
            ["", "a", "80:", "80:a", "a:80", "80:70-71", "80/x", "99999", "80:0", "9-8", "x:1:2", "+1:2"]
        {
            assert!(ports(short).is_err(), "{short}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_port_or_a_fault(short in "[0-9a-z:./\\[\\]-]{0,24}") {
            let _ = ports(&short);
        }

        #[test]
        fn equal_ranges_pair_up(first in 1_u16..60000, second in 1_u16..60000, length in 0_u16..50) {
            let all = ports(&format!("{first}-{}:{second}-{}", first + length, second + length)).expect("a range");
            prop_assert_eq!(all.len(), usize::from(length) + 1);
            let last = format!("- {} {} tcp", first + length, second + length);
            prop_assert_eq!(all.last(), Some(&last));
        }
    }
}
