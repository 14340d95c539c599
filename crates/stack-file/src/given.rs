//! What a command line gives in the short forms of a stack file: ports, mounts, and
//! files of variables.

use std::collections::HashMap;
use std::path::Path;

use crate::canonical::{Base, absolute, text};
use crate::decode;
use crate::diagnostic::Diagnostic;
use crate::env_file;
use crate::model::{Mount, Port};
use crate::short_syntax::{self, Fault, items};
use crate::source::{self, Origin, Sources};
use crate::tree::{Kind, Node};

use crate::attributes::Short;

/// What is wrong with a value of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// One sentence without a full stop: what is wrong.
    pub message: String,
    /// What to do next.
    pub help: String,
}

/// What is wrong with a file that the command line names.
#[derive(Clone, Debug)]
pub struct Faulty {
    /// Every finding.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that they are about.
    pub sources: Sources,
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self { message: fault.message, help: fault.help }
    }
}

/// Published ports in the short form of `ports`: `[[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL]`, ranges unrolled.
///
/// # Errors
/// When the text is none.
pub fn ports(given: &str) -> Result<Vec<Port>, Wrong> {
    let mut nodes = long(given, Short::Port)?;
    for node in &mut nodes {
        short_syntax::settle_port(node)?;
    }
    Ok(nodes.iter().map(decode::port).collect())
}

/// A mount in the short form of `volumes`: `[SOURCE:]TARGET[:OPTIONS]`. A path of this machine
/// is relative to `directory`; `home` is what `~` stands for.
///
/// # Errors
/// When the text is none.
pub fn mount(given: &str, directory: &Path, home: Option<&str>) -> Result<Mount, Wrong> {
    let mut nodes = long(given, Short::Mount)?;
    let Some(mut node) = nodes.pop() else {
        return Err(Wrong { message: "a mount is empty".to_owned(), help: "write SOURCE:TARGET".to_owned() });
    };
    short_syntax::settle_mount(&mut node)?;
    if node.get("type").map(text) == Some("bind")
        && let Kind::Mapping(entries) = &mut node.kind
        && let Some(source) = entries.get_mut("source")
    {
        let path = absolute(text(&source.node), Base { directory, home })?;
        source.node = Node::string(path, source.node.origin.clone());
    }
    Ok(decode::mount(&node))
}

/// The variables of a file in the form of an environment file, in its order. `lookup` knows
/// the variables from outside, for the values that use one.
///
/// # Errors
/// Every finding about the file, with its texts; none of them shows a value.
pub fn variables(
    path: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Faulty> {
    let mut sources = Sources::default();
    let name = path.display().to_string();
    let content = match source::read(path) {
        Ok(content) => content,
        Err(reason) => {
            let told = Diagnostic::error(format!("the environment file {name} cannot be read: {reason}"))
                .help("correct the path");
            return Err(Faulty { diagnostics: vec![told], sources });
        }
    };
    let id = sources.add_confidential(name, Some(path.to_owned()), content);
    let mut diagnostics = Vec::new();
    let content = sources.get(id).text.clone();
    let found = env_file::parse_after(&content, id, lookup, HashMap::new(), &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(Faulty { diagnostics, sources });
    }
    Ok(found.into_iter().map(|assignment| (assignment.name, assignment.value)).collect())
}

fn long(given: &str, short: Short) -> Result<Vec<Node>, Wrong> {
    let mut sources = Sources::default();
    let source = sources.add("the command line", None, given);
    let node = Node::string(given, Origin { source, span: (0..given.len()).into(), via: None });
    // A text is always a short form.
    Ok(items(&node, short).unwrap_or_else(|| Ok(vec![node]))?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::{MountSource, PortMode};

    #[test]
    fn ports_are_read_as_in_a_file() {
        let port = |target, published: &str, host_ip: Option<&str>, protocol: &str| Port {
            target,
            published: (!published.is_empty()).then(|| published.to_owned()),
            host_ip: host_ip.map(str::to_owned),
            protocol: protocol.to_owned(),
            mode: PortMode::Ingress,
        };
        assert_eq!(ports("80"), Ok(vec![port(80, "", None, "tcp")]));
        assert_eq!(ports("127.0.0.1:8080:80/udp"), Ok(vec![port(80, "8080", Some("127.0.0.1"), "udp")]));
        assert_eq!(
            ports("8000-8001:80-81"),
            Ok(vec![port(80, "8000", None, "tcp"), port(81, "8001", None, "tcp")])
        );
        for wrong in ["", "http", "80:80:80:80", "99999:80", "80/ftp"] {
            assert!(ports(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_mount_is_relative_to_the_directory_given() {
        let read = |given: &str| mount(given, Path::new("/here"), Some("/home/me"));
        let bind = |given: &str| match read(given).expect("a mount").source {
            MountSource::Bind { path, .. } => path,
            other => panic!("{given}: {other:?}"),
        };
        assert_eq!(bind("./a:/b"), PathBuf::from("/here/a"));
        assert_eq!(bind("../a:/b"), PathBuf::from("/a"));
        assert_eq!(bind("~/a:/b"), PathBuf::from("/home/me/a"));
        assert!(read("/a:/b:ro").expect("a mount").read_only);
        assert_eq!(read("/data").expect("a mount").source, MountSource::Anonymous);
        let volume = read("data:/d/").expect("a mount");
        assert_eq!(volume.target, "/d");
        assert_eq!(volume.source, MountSource::Volume { key: "data".to_owned() });
        for wrong in ["", ":", "a:b", "a:/b:loud", "a:/b:ro:c"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn variables_keep_their_order_and_use_those_from_outside() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "B=1\nA=${B}${OUT}\n").expect("written");
        let found = variables(file.path(), &|name| (name == "OUT").then(|| "2".to_owned()));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found.ok(), Some(vec![pair("B", "1"), pair("A", "12")]));
        let told = variables(Path::new("/nowhere/at/all"), &|_| None).expect_err("an error");
        assert!(told.diagnostics[0].message.contains("/nowhere/at/all"), "{told:?}");
    }
}
