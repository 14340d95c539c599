//! Stand-ins: base images made of Debian's packages, for machines that reach no registry of images.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tempfile::TempDir;

use super::archive::{Joined, Written};
use super::recipe::Recipe;
use super::registry::{Access, BUNDLE, certificates};
use crate::debian::{self, Services};
use crate::engine::Engine;
use crate::http::{self, Body, Patience};
use crate::say;

/// The label of every stand-in.
pub(super) const LABEL: &str = "stackctl.stand-in";

const TOOLCHAINS: &str = "/usr/local/rustup/toolchains";
const CARGO_BIN: &str = "/usr/local/cargo/bin";

/// Whether stand-ins can be made here; installs what makes them.
pub(super) fn prepare() -> Result<()> {
    if !debian::is_debian() || !debian::is_root() {
        bail!("stand-ins are made of Debian's packages, by root on Debian or its kin");
    }
    if debian::has_program("mmdebstrap")
        && Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists()
    {
        return Ok(());
    }
    debian::install(
        &["mmdebstrap", "debian-archive-keyring", "ca-certificates"],
        "to make base images from Debian's packages",
        Services::StayOff,
    )
}

/// Makes a stand-in and gives it the image's name. Returns its id.
pub(super) fn make(recipe: &Recipe, engine: &Engine) -> Result<String> {
    let mut files = Files::new()?;
    files.lay(BUNDLE, 0o644, &certificates()?)?;
    for file in &recipe.files {
        files.lay(&file.path, file.mode, &file.text)?;
    }
    let mut commands = recipe.commands.clone();
    let mut env = recipe.config.env.clone();
    let mut parts: Vec<Box<dyn Read>> = Vec::new();
    if recipe.toolchain {
        let toolchain = Toolchain::of_this_machine()?;
        let access = Access::of_this_machine()?;
        for note in &access.notes {
            say(&format!("{}: {note}", recipe.image));
        }
        if !access.config.is_empty() {
            files.lay("/usr/local/cargo/config.toml", 0o644, &access.config)?;
        }
        env.extend(access.env);
        env.insert("RUST_VERSION".to_owned(), toolchain.release.clone());
        commands.extend(toolchain.commands());
        parts.push(Box::new(toolchain.archive()?));
    }
    parts.insert(0, Box::new(root_archive(recipe, &files, &commands)?));

    let changes = changes(recipe, &env);
    let (name, tag) = recipe.name_and_tag();
    let named = format!("repo={}&tag={}", http::escaped(name), http::escaped(tag));
    // An import cannot set the stop signal: it is set, and the name given, in a second step.
    let stop_signal = recipe.config.stop_signal.as_deref();
    let mut path = "/images/create?fromSrc=-".to_owned();
    if stop_signal.is_none() {
        path.push_str(&format!("&{named}"));
    }
    path.extend(changes.iter().map(|change| format!("&changes={}", http::escaped(change))));
    // Unpacking a large root takes the engine a while after all of it has been sent.
    let patience = Patience::of(Duration::from_secs(300));
    let mut id = None;
    engine.post(&path, Body::Stream(&mut Joined::new(parts)), patience, &mut |line| {
        id = line["status"].as_str().map(str::to_owned);
    })?;
    let id = id.context("the engine named no image")?;
    match stop_signal {
        Some(signal) => with_stop_signal(engine, &id, signal, &named),
        None => Ok(id),
    }
}

/// The image's settings as the instructions that an import takes.
fn changes(recipe: &Recipe, env: &BTreeMap<String, String>) -> Vec<String> {
    let config = &recipe.config;
    let mut changes = vec![format!("LABEL {LABEL}=true"), format!("LABEL {LABEL}.of={}", recipe.image)];
    changes.extend(env.iter().map(|(key, value)| format!("ENV {key}={}", json!(value))));
    changes.extend(config.expose.iter().map(|port| format!("EXPOSE {port}")));
    if !config.volumes.is_empty() {
        changes.push(format!("VOLUME {}", json!(config.volumes)));
    }
    changes.extend(config.workdir.iter().map(|path| format!("WORKDIR {path}")));
    if !config.entrypoint.is_empty() {
        changes.push(format!("ENTRYPOINT {}", json!(config.entrypoint)));
    }
    if !config.cmd.is_empty() {
        changes.push(format!("CMD {}", json!(config.cmd)));
    }
    changes
}

/// The same image with a stop signal, under a name. Returns its id.
fn with_stop_signal(engine: &Engine, image: &str, signal: &str, named: &str) -> Result<String> {
    let container = engine.create("/containers/create", &json!({ "Image": image }))?;
    let path = format!("/commit?container={container}&{named}");
    let made = engine.create(&path, &json!({ "StopSignal": signal }));
    let removed = engine.delete(&format!("/containers/{container}?v=true"));
    let id = made?;
    removed.with_context(|| format!("container {container}, which was made for this, cannot be removed"))?;
    Ok(id)
}

/// Files on their way into a new root.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Result<Self> {
        let directory =
            tempfile::Builder::new().prefix("stand-in-").tempdir().context("no temporary directory")?;
        let files = Self { directory };
        std::fs::create_dir(files.root())?;
        std::fs::set_permissions(files.root(), PermissionsExt::from_mode(0o755))?;
        Ok(files)
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn lay(&mut self, path: &str, mode: u32, text: &str) -> Result<()> {
        let path = self.root().join(path.trim_start_matches('/'));
        // The directories get the mode that the new root's own have, whatever this process masks.
        let mut directories: Vec<_> = path.ancestors().skip(1).take_while(|up| *up != self.root()).collect();
        directories.reverse();
        for directory in directories {
            if !directory.exists() {
                std::fs::create_dir(directory)?;
                std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755))?;
            }
        }
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
        Ok(())
    }
}

/// A word for a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A small Debian with the recipe's packages, files and commands, as an archive.
fn root_archive(recipe: &Recipe, files: &Files, commands: &[String]) -> Result<Written> {
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--quiet", "--mode=root", "--variant=minbase", "--format=tar"])
        .arg(format!("--include={}", recipe.packages.join(",")))
        .arg("--aptopt=Acquire::Languages \"none\"")
        .arg("--dpkgopt=path-exclude=/usr/share/man/*")
        .arg("--dpkgopt=path-exclude=/usr/share/locale/*")
        .arg("--dpkgopt=path-exclude=/usr/share/doc/*")
        .arg("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        .arg(format!("--customize-hook=sync-in {} /", quoted(&files.root().to_string_lossy())));
    if !commands.is_empty() {
        let script = commands.join("\n");
        command.arg(format!("--customize-hook=chroot \"$1\" sh -euc {}", quoted(&script)));
    }
    command.arg(&recipe.suite).arg("-").args(mirrors(&recipe.suite));
    for (setting, variable) in
        [("Acquire::http::Proxy", "http_proxy"), ("Acquire::https::Proxy", "https_proxy")]
    {
        if let Some(proxy) = apt_setting(setting) {
            command.env(variable, proxy);
        }
    }
    Written::by(&mut command)
}

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// The places this machine gets the same release of Debian from; empty for Debian's own.
fn mirrors(suite: &str) -> Vec<String> {
    let format = "$(ORIGIN) $(CODENAME) $(REPO_URI)";
    let listed =
        output_of(Command::new("apt-get").args(["indextargets", "--format", format, "Identifier: Packages"]));
    let listed = listed.unwrap_or_default();
    let mut mirrors: Vec<String> = Vec::new();
    for line in listed.lines() {
        let words: Vec<_> = line.split(' ').collect();
        if let ["Debian", name, address] = words[..]
            && (name == suite || name == format!("{suite}-security") || name == format!("{suite}-updates"))
            && address.starts_with("http")
        {
            let line = format!("deb {address} {name} main");
            if !mirrors.contains(&line) {
                mirrors.push(line);
            }
        }
    }
    let has_suite = mirrors.iter().any(|line| line.ends_with(&format!(" {suite} main")));
    if has_suite { mirrors } else { Vec::new() }
}

fn apt_setting(name: &str) -> Option<String> {
    let text = output_of(Command::new("apt-config").args(["dump", "--format", "%v%n", name]))?;
    text.lines().map(str::trim).find(|line| !line.is_empty() && *line != "DIRECT").map(str::to_owned)
}

/// The Rust toolchain that runs this.
struct Toolchain {
    sysroot: PathBuf,
    /// `1.95.0`
    release: String,
    /// `1.95.0-x86_64-unknown-linux-gnu`
    name: String,
}

impl Toolchain {
    fn of_this_machine() -> Result<Self> {
        let sysroot =
            output_of(Command::new("rustc").args(["--print", "sysroot"])).context("rustc cannot be run")?;
        let version = output_of(Command::new("rustc").arg("-vV")).context("rustc cannot be run")?;
        let field = |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let (release, host) =
            field("release:").zip(field("host:")).context("rustc does not tell its version")?;
        let sysroot = PathBuf::from(sysroot.trim());
        ensure!(
            sysroot.join("bin/cargo").is_file() && sysroot != Path::new("/usr"),
            "the toolchain at {} does not stand alone: the image needs one that rustup installed",
            sysroot.display()
        );
        Ok(Self { sysroot, release: release.to_owned(), name: format!("{release}-{host}") })
    }

    /// What makes it callable inside, for every user, as in the official image.
    fn commands(&self) -> Vec<String> {
        let bin = format!("{TOOLCHAINS}/{}/bin", self.name);
        let mut commands = vec![format!("mkdir -p {CARGO_BIN} {TOOLCHAINS}/{}", self.name)];
        commands.extend(
            ["cargo", "rustc", "rustdoc"].map(|tool| format!("ln -s {bin}/{tool} {CARGO_BIN}/{tool}")),
        );
        commands.push("chmod -R a+w /usr/local/cargo /usr/local/rustup".to_owned());
        commands
    }

    /// The compiler, cargo and the libraries, without documentation and sources.
    fn archive(&self) -> Result<Written> {
        let into = format!("{TOOLCHAINS}/{}", self.name);
        Written::by(
            Command::new("tar")
                .arg("-C")
                .arg(&self.sysroot)
                .args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--exclude=lib/rustlib/src"])
                .arg(format!("--transform=s|^|{}/|S", into.trim_start_matches('/')))
                .args(["bin/cargo", "bin/rustc", "bin/rustdoc", "lib"]),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_laid_with_their_modes() {
        let mut files = Files::new().expect("a directory");
        files.lay("/usr/local/bin/run", 0o755, "#!/bin/sh\n").expect("a file");
        let mode = |path: &str| {
            std::fs::metadata(files.root().join(path)).expect("an entry").permissions().mode() & 0o7777
        };
        assert_eq!(mode("usr/local/bin/run"), 0o755);
        assert_eq!(mode("usr/local"), 0o755);
        assert_eq!(mode(""), 0o755);
    }

    #[test]
    fn words_for_a_shell_keep_their_quotes() {
        let script = format!("printf %s {}", quoted("it's \"so\" $HOME"));
        let output = output_of(Command::new("sh").args(["-c", &script])).expect("a shell");
        assert_eq!(output, "it's \"so\" $HOME");
    }
}
