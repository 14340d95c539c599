//! Mounts: binds, volumes and file systems in memory.

use super::{Fault, mapping};
use crate::canonical::{is_of_windows, text};
use crate::source::Origin;
use crate::tree::{Kind, Node, ScalarKind};

/// `[SOURCE:]TARGET[:OPTIONS]` as a long form.
pub(crate) fn long(short: &str, origin: &Origin) -> Result<Node, Fault> {
    let at = |text: &str| Node::string(text, origin.clone());
    let yes = || Node::scalar("true", ScalarKind::Boolean, origin.clone());
    let parts = parts(short);
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => {
            return Err(Fault::new(
                format!("`{short}` has too many colons for a mount"),
                "write SOURCE:TARGET[:OPTIONS], or the long form for paths with colons",
            ));
        }
    };
    if source == Some("") || target.is_empty() {
        return Err(Fault::new(
            format!("`{short}` lacks a part"),
            "write SOURCE:TARGET, as in `./html:/srv` or `data:/var/lib/data`",
        ));
    }
    let bind = source.is_some_and(|source| source.starts_with(['.', '/', '~']) || is_of_windows(source));
    let mut entries = vec![("type", at(if bind { "bind" } else { "volume" }))];
    entries.extend(source.map(|source| ("source", at(source))));
    entries.push(("target", at(target)));
    let mut of_bind = Vec::new();
    let mut of_volume = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => entries.push(("read_only", yes())),
            "rw" => {}
            // Docker compose takes these for any mount.
            "z" | "Z" => of_bind.push(("selinux", at(option))),
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => {
                of_bind.push(("propagation", at(option)));
            }
            "nocopy" => of_volume.push(("nocopy", yes())),
            // How strictly host and container agree is nothing to an engine on Linux.
            "cached" | "delegated" | "consistent" => {}
            _ => {
                let known = if bind {
                    "ro, rw, z, Z, rprivate, private, rshared, shared, rslave, slave"
                } else {
                    "ro, rw, nocopy"
                };
                let what = if bind { "bind mount" } else { "volume" };
                return Err(Fault::new(
                    format!("`{option}` is no option of a {what}"),
                    format!("options are: {known}"),
                ));
            }
        }
    }
    let node = |entries| Node { kind: mapping(entries), origin: origin.clone() };
    if bind {
        of_bind.push(("create_host_path", yes()));
    }
    if !of_bind.is_empty() {
        entries.push(("bind", node(of_bind)));
    }
    if !bind || !of_volume.is_empty() {
        entries.push(("volume", node(of_volume)));
    }
    Ok(node(entries))
}

/// The parts between the colons; that of a drive of Windows is none.
fn parts(short: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = short;
    loop {
        let skipped = if is_of_windows(rest) { 2 } else { 0 };
        match rest[skipped..].find(':') {
            Some(at) => {
                parts.push(&rest[..skipped + at]);
                rest = &rest[skipped + at + 1..];
            }
            None => {
                parts.push(rest);
                return parts;
            }
        }
    }
}

/// Defaults and checks of a long form.
pub(crate) fn settle_mount(node: &mut Node) -> Result<(), Fault> {
    let kind = match node.get("type").map(text) {
        Some(kind) => kind.to_owned(),
        None => return Err(Fault::new("a mount needs a `type`", "add `type: bind`, `volume` or `tmpfs`")),
    };
    let Some(target) = node.get("target").map(text) else {
        return Err(Fault::new("a mount needs a `target`", "add the path in the container: `target: /srv`"));
    };
    if !target.starts_with('/') && !is_of_windows(target) && kind != "npipe" {
        return Err(Fault::new(
            format!("`{target}` is no absolute path in the container"),
            format!("write `/{target}` if that is meant"),
        ));
    }
    let target = if !target.starts_with('/') { target.to_owned() } else { clean_target(target) };
    match (kind.as_str(), node.get("source").is_some()) {
        ("bind", false) => {
            return Err(Fault::new(
                "a bind mount needs a `source`",
                "add the path of this machine: `source: ./html`",
            ));
        }
        ("tmpfs", true) => {
            return Err(Fault::new(
                "a tmpfs mount has no `source`",
                "remove it, or make it a bind or a volume",
            ));
        }
        _ => {}
    }
    let Kind::Mapping(entries) = &mut node.kind else { return Ok(()) };
    if let Some(entry) = entries.get_mut("target") {
        entry.node = Node::string(target, entry.node.origin.clone());
    }
    Ok(())
}

/// A path in the container without doubled or trailing slashes, `.` and `..`.
fn clean_target(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::clean_target;

    #[test]
    fn targets_are_cleaned() {
        for (path, clean) in [("/a/", "/a"), ("/a//b", "/a/b"), ("/a/../b/.", "/b"), ("/", "/"), ("/..", "/")]
        {
            assert_eq!(clean_target(path), clean);
        }
    }
}
