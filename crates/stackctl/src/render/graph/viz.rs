//! The services and what they need of each other, as docker compose's `viz` draws them.

use std::fmt::Write;

use stack_plan::desired::{Desired, ServiceSpec};

/// How docker compose's graph looks.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct VizStyle {
    /// Show the image of each service
    #[arg(long)]
    image: bool,
    /// Show the networks of each service
    #[arg(long)]
    networks: bool,
    /// Show the published ports of each service
    #[arg(long)]
    ports: bool,
    /// How many tabs or spaces a line is indented by
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    indentation_size: usize,
    /// Indent by spaces, not by tabs
    #[arg(long)]
    spaces: bool,
}

/// The graph as docker compose's `viz` draws it, in the order of starting.
pub(crate) fn viz(desired: &Desired, style: &VizStyle) -> String {
    let indent = if style.spaces { " " } else { "\t" }.repeat(style.indentation_size);
    let mut text = format!("digraph {} {{\n{indent}layout=dot;\n", quoted(&desired.project));
    for spec in &desired.services {
        let _ = writeln!(
            text,
            "{indent}{} [style=\"filled\" label=<{}>];",
            quoted(spec.name()),
            label(spec, style)
        );
    }
    text.push('\n');
    for spec in &desired.services {
        for needed in spec.service.depends_on.keys().filter(|name| desired.service(name).is_some()) {
            let _ = writeln!(text, "{indent}{} -> {};", quoted(spec.name()), quoted(needed));
        }
    }
    text.push_str("}\n");
    text
}

fn label(spec: &ServiceSpec, style: &VizStyle) -> String {
    let service = &spec.service;
    let mut label = format!("<font point-size=\"15\">{}</font>", escaped(spec.name()));
    if style.networks && !service.networks.is_empty() {
        label.push_str(&part("Networks", service.networks.keys().cloned()));
    }
    if style.ports && !service.ports.is_empty() {
        let ports = service.ports.iter().map(|port| {
            let host = port.host_ip.as_ref().map(|host| format!("{host}:")).unwrap_or_default();
            let published = port.published.as_ref().map(|port| format!("{port}:")).unwrap_or_default();
            format!("{host}{published}{} ({}, ingress)", port.target, port.protocol)
        });
        label.push_str(&part("Ports", ports));
    }
    if style.image {
        label.push_str(&part("Image", std::iter::once(spec.image.clone())));
    }
    label
}

fn part(title: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: String = lines.map(|line| format!("<br/>{}", escaped(&line))).collect();
    format!("<font point-size=\"10\"><br/><br/><b>{title}:</b>{lines}</font>")
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::desired;
    use super::*;

    fn drawn(style: &VizStyle) -> String {
        let text = "name: vv\nservices:\n  a: { image: 'redis:latest', ports: ['8080:80', '127.0.0.1:90:91/udp'], networks: [x, y], depends_on: [b] }\n  b: { build: ., networks: [y] }\nnetworks: { x: {}, y: {} }\n";
        viz(&desired(text), style)
    }

    #[test]
    fn a_graph_is_drawn_as_docker_compose_draws_it() {
        let plain = VizStyle { spaces: true, indentation_size: 2, ..VizStyle::default() };
        assert_eq!(
            drawn(&plain),
            "digraph \"vv\" {\n  layout=dot;\n  \"b\" [style=\"filled\" label=<<font point-size=\"15\">b</font>>];\n  \"a\" [style=\"filled\" label=<<font point-size=\"15\">a</font>>];\n\n  \"a\" -> \"b\";\n}\n"
        );
        let all = VizStyle { image: true, networks: true, ports: true, indentation_size: 1, spaces: false };
        let line = "\t\"a\" [style=\"filled\" label=<<font point-size=\"15\">a</font><font point-size=\"10\"><br/><br/><b>Networks:</b><br/>x<br/>y</font><font point-size=\"10\"><br/><br/><b>Ports:</b><br/>8080:80 (tcp, ingress)<br/>127.0.0.1:90:91 (udp, ingress)</font><font point-size=\"10\"><br/><br/><b>Image:</b><br/>redis:latest</font>>];\n";
        assert!(drawn(&all).contains(line), "{}", drawn(&all));
    }
}
