//! How this machine reaches the registry of crates: what of that an image needs too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where every image keeps the certificates it trusts.
pub(super) const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What an image gets from this machine.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// The text of cargo's configuration; empty where this machine has none.
    pub(super) config: String,
    pub(super) env: BTreeMap<String, String>,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
}

/// Every certificate authority that this machine's programs trust, in PEM.
pub(super) fn certificates() -> Result<String> {
    let named =
        ["CARGO_HTTP_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE"].into_iter().filter_map(std::env::var_os);
    let mut paths: Vec<PathBuf> = vec![BUNDLE.into()];
    paths.extend(named.map(PathBuf::from));
    paths.extend(cargo_config().and_then(|(path, table)| {
        let file = table.get("http")?.get("cainfo")?.as_str()?.to_owned();
        // A relative path counts from the directory that holds cargo's home.
        Some(path.parent()?.parent()?.join(file))
    }));
    let mut texts: Vec<String> = Vec::new();
    for path in paths {
        if let Ok(text) = std::fs::read_to_string(&path)
            && !texts.contains(&text)
        {
            texts.push(text);
        }
    }
    Ok(texts.join("\n"))
}

fn cargo_config() -> Option<(PathBuf, toml::Table)> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")))?;
    ["config", "config.toml"].into_iter().find_map(|name| {
        let path = home.join(name);
        let table = std::fs::read_to_string(&path).ok()?.parse().ok()?;
        Some((path, table))
    })
}

impl Access {
    /// Reads this machine's settings.
    pub(super) fn of_this_machine() -> Result<Self> {
        let config = cargo_config().map(|(_, table)| table).unwrap_or_default();
        Self::from(
            config,
            std::env::vars_os()
                .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    fn from(config: toml::Table, variables: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let mut access = Self::default();
        let mut kept = toml::Table::new();
        for (key, value) in config {
            if matches!(key.as_str(), "source" | "registry" | "registries" | "http" | "net")
                && let Some(value) = access.without_secrets(&key, value)
            {
                kept.insert(key, value);
            }
        }
        if let Some(http) = kept.get_mut("http").and_then(toml::Value::as_table_mut)
            && http.contains_key("cainfo")
        {
            http.insert("cainfo".to_owned(), BUNDLE.into());
        }
        if !kept.is_empty() {
            access.config = toml::to_string(&kept).context("cargo's configuration cannot be written")?;
        }
        for (key, value) in variables {
            if !is_needed(&key) || value.is_empty() {
                continue;
            }
            if holds_password(&value) {
                access.notes.push(format!("{key} holds a password and is left out"));
            } else {
                let value = if key == "CARGO_HTTP_CAINFO" { BUNDLE.to_owned() } else { value };
                access.env.insert(key, value);
            }
        }
        Ok(access)
    }

    /// A setting without tokens and passwords; `None` where nothing else was in it.
    fn without_secrets(&mut self, key: &str, value: toml::Value) -> Option<toml::Value> {
        let last = key.rsplit('.').next().unwrap_or(key);
        match value {
            _ if matches!(
                last,
                "token" | "secret-key" | "credential-provider" | "global-credential-providers"
            ) =>
            {
                self.notes.push(format!("cargo's {key} is left out: secrets stay on this machine"));
                None
            }
            toml::Value::String(text) if holds_password(&text) => {
                self.notes.push(format!("cargo's {key} holds a password and is left out"));
                None
            }
            toml::Value::Table(table) => {
                let kept = table.into_iter().filter_map(|(name, value)| {
                    let value = self.without_secrets(&format!("{key}.{name}"), value)?;
                    Some((name, value))
                });
                Some(toml::Value::Table(kept.collect()))
            }
            other => Some(other),
        }
    }
}

/// Whether a variable of the environment decides how cargo reaches its registry.
fn is_needed(key: &str) -> bool {
    let proxy =
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].contains(&key.to_ascii_uppercase().as_str());
    let cargo = key.starts_with("CARGO_HTTP_")
        || key.starts_with("CARGO_NET_")
        || key.starts_with("CARGO_SOURCE_")
        || (key.starts_with("CARGO_REGISTRIES_") && (key.ends_with("_INDEX") || key.ends_with("_PROTOCOL")));
    proxy || cargo
}

/// Whether an address carries a user's name or password.
fn holds_password(address: &str) -> bool {
    address
        .split_once("://")
        .is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|host| host.contains('@')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(config: &str, variables: &[(&str, &str)]) -> Access {
        let table = config.parse().expect("a table");
        Access::from(table, variables.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())))
            .expect("access")
    }

    #[test]
    fn a_mirror_goes_along_and_its_secrets_stay() {
        let found = access(
            "[source.crates-io]\nreplace-with = 'mirror'\n[source.mirror]\nregistry = 'sparse+https://mirror/index/'\n\
             [registries.inside]\nindex = 'https://inside/'\ntoken = 'hush'\n[http]\nproxy = 'http://me:hush@proxy:3128'\n\
             cainfo = '/home/me/ca.pem'\n[build]\njobs = 1\n",
            &[],
        );
        let kept: toml::Table = found.config.parse().expect("a table");
        assert_eq!(kept["source"]["mirror"]["registry"].as_str(), Some("sparse+https://mirror/index/"));
        assert_eq!(kept["registries"]["inside"]["index"].as_str(), Some("https://inside/"));
        assert_eq!(kept["http"]["cainfo"].as_str(), Some(BUNDLE));
        assert!(!kept.contains_key("build"));
        assert!(!found.config.contains("hush"), "{}", found.config);
        assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
        assert!(!found.notes.concat().contains("hush"));
    }

    #[test]
    fn proxies_go_along_unless_they_hold_a_password() {
        let found = access(
            "",
            &[
                ("https_proxy", "http://proxy:3128"),
                ("HTTP_PROXY", "http://me:hush@proxy:3128"),
                ("CARGO_REGISTRIES_INSIDE_TOKEN", "hush"),
                ("CARGO_HTTP_CAINFO", "/home/me/ca.pem"),
                ("PATH", "/bin"),
            ],
        );
        let kept: Vec<_> = found.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(kept, [("CARGO_HTTP_CAINFO", BUNDLE), ("https_proxy", "http://proxy:3128")]);
        assert_eq!(found.notes.len(), 1);
        assert!(found.config.is_empty());
    }
}
