//! Mounts: binds, volumes and file systems in memory.

use super::{Fault, implied, mapping};
use crate::canonical::text;
use crate::source::Origin;
use crate::tree::{Kind, Node, ScalarKind};

/// `[SOURCE:]TARGET[:OPTIONS]` as a long form.
pub(crate) fn long(short: &str, origin: &Origin) -> Result<Node, Fault> {
    let at = |text: &str| Node::string(text, origin.clone());
    let yes = || Node::scalar("true", ScalarKind::Boolean, origin.clone());
    let parts: Vec<&str> = short.split(':').collect();
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
    let bind = source.is_some_and(|source| source.starts_with(['.', '/', '~']));
    let mut entries = vec![("type", at(if bind { "bind" } else { "volume" }))];
    entries.extend(source.map(|source| ("source", at(source))));
    entries.push(("target", at(target)));
    let mut of_bind = Vec::new();
    let mut of_volume = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => entries.push(("read_only", yes())),
            "rw" => {}
            "z" | "Z" if bind => of_bind.push(("selinux", at(option))),
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" if bind => {
                of_bind.push(("propagation", at(option)));
            }
            "nocopy" if !bind => of_volume.push(("nocopy", yes())),
            "cached" | "delegated" | "consistent" => entries.push(("consistency", at(option))),
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
    if !of_bind.is_empty() {
        entries.push(("bind", node(of_bind)));
    }
    if !of_volume.is_empty() {
        entries.push(("volume", node(of_volume)));
    }
    Ok(node(entries))
}

/// Defaults and checks of a long form.
pub(crate) fn settle_mount(node: &mut Node) -> Result<(), Fault> {
    let origin = node.origin.clone();
    let kind = match node.get("type").map(text) {
        Some(kind) => kind.to_owned(),
        None => return Err(Fault::new("a mount needs a `type`", "add `type: bind`, `volume` or `tmpfs`")),
    };
    let Some(target) = node.get("target").map(text) else {
        return Err(Fault::new("a mount needs a `target`", "add the path in the container: `target: /srv`"));
    };
    if !target.starts_with('/') {
        return Err(Fault::new(
            format!("`{target}` is no absolute path in the container"),
            format!("write `/{target}` if that is meant"),
        ));
    }
    let target = clean_target(target);
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
    for options in ["bind", "volume", "tmpfs"] {
        if options != kind && node.get(options).is_some() {
            return Err(Fault::new(
                format!("a mount of type {kind} has no options of `{options}`"),
                format!("remove `{options}`, or change the type"),
            ));
        }
    }
    let Kind::Mapping(entries) = &mut node.kind else { return Ok(()) };
    if let Some(entry) = entries.get_mut("target") {
        entry.node = Node::string(target, entry.node.origin.clone());
    }
    drop_false(entries.get_mut("volume").map(|entry| &mut entry.node), "nocopy");
    entries.retain(|key, entry| {
        let says_nothing = (key == "read_only" && text(&entry.node) == "false")
            || (matches!(key.as_str(), "volume" | "tmpfs")
                && entry.node.as_mapping().is_some_and(indexmap::IndexMap::is_empty));
        !says_nothing
    });
    if kind == "bind" {
        let create = Node::scalar("true", ScalarKind::Boolean, origin.clone());
        match entries.get_mut("bind").map(|entry| &mut entry.node.kind) {
            Some(Kind::Mapping(bind)) => {
                if !bind.contains_key("create_host_path") {
                    implied(bind, "create_host_path", create);
                    bind.sort_keys();
                }
            }
            _ => implied(entries, "bind", Node { kind: mapping([("create_host_path", create)]), origin }),
        }
    }
    Ok(())
}

fn drop_false(node: Option<&mut Node>, key: &str) {
    if let Some(Node { kind: Kind::Mapping(entries), .. }) = node
        && entries.get(key).is_some_and(|entry| text(&entry.node) == "false")
    {
        entries.shift_remove(key);
    }
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
