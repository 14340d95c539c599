//! Contexts of builds in a repository that only a key opens.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::images::{in_image, repository};
use crate::support::{Project, on_engine};

/// The first API whose engines know the scheme `ssh`.
const WITH_SCHEME: (u32, u32) = (1, 42);

/// A server of SSH with the programs of this machine, in a container with an address of its own:
/// older engines ask only port 22. Files below `/srv` are those of the project's folder.
const SERVER: &str = "
services:
  git:
    image: redis:latest
    entrypoint: [sh, -c, 'mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f /srv/sshd_config']
    stop_grace_period: 0s
    volumes: ['/usr:/usr:ro', '.:/srv:ro', './passwd:/etc/passwd:ro']
    healthcheck: { test: [CMD-SHELL, 'grep -qi :0016 /proc/net/tcp /proc/net/tcp6'], interval: 1s }
";

const PASSWD: &str = "root:*:0:0::/root:/bin/sh
git:*:0:0::/srv:/bin/sh
sshd:*:101:65534::/run/sshd:/usr/sbin/nologin
";

/// Who owns the repository on this machine is nothing to the git in the container.
const SSHD_CONFIG: &str = "Port 22
HostKey /srv/host_key
AuthorizedKeysFile /srv/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=* PATH=/usr/local/bin:/usr/bin:/bin
";

fn key(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status();
    assert!(made.expect("these tests need ssh-keygen").success());
}

/// The address of the server.
fn address(project: &Project) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let container = format!("{}-git-1", project.name);
    let output = Command::new("docker").args(["inspect", "-f", format, &container]).output();
    String::from_utf8_lossy(&output.expect("docker runs").stdout).trim().to_owned()
}

#[test]
fn a_context_in_a_private_repository_must_be_had_with_the_key_and_only_with_it() {
    assert!(
        Path::new("/usr/sbin/sshd").exists(),
        "these tests need openssh-server: cargo xtask test installs it"
    );
    let project = Project::new(SERVER);
    let folder = project.directory.path();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("a mode");
    for (name, text) in [("passwd", PASSWD), ("sshd_config", SSHD_CONFIG)] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    key(&folder.join("host_key"));
    key(&folder.join("key"));
    key(&folder.join("other"));
    // An engine keeps what it has fetched by the address: no other test may have had this one.
    let name = format!("{}.git", project.name);
    let files =
        [("Dockerfile", "FROM redis:latest\nCOPY sub/file /file\n"), ("sub/file", "from a private place")];
    repository(&folder.join(&name), &files);
    project.run(&["up", "-d", "--wait"]).exits(0);

    let server = address(&project);
    let build = |context: &str, key: &str| {
        let ssh = if key.is_empty() { String::new() } else { format!(", ssh: ['default=./{key}']") };
        project.write(&format!("{SERVER}  app:\n    build: {{ context: '{context}'{ssh} }}\n"));
        project.run(&["build", "app"])
    };
    let short = format!("git@{server}:{name}#main");
    for key in ["", "other"] {
        let refused = build(&short, key).exits(1).says("the engine fetches the context itself");
        refused.says("what is private needs `ssh:` below `build:`").says("stack.yaml:10:");
    }
    build(&short, "key").exits(0);
    let image = format!("{}-app", project.name);
    assert_eq!(in_image(&image, "cat /file"), "from a private place");

    let long = format!("ssh://git@{server}:22/srv/{name}#main");
    let built = build(&long, "key");
    if on_engine(async |engine| engine.connection().api_version) >= WITH_SCHEME {
        built.exits(0);
        assert_eq!(in_image(&image, "cat /file"), "from a private place");
    } else {
        let refused = built.exits(1).says("needs Docker Engine 23");
        refused.says(&format!("git@{server}:")).says("stack.yaml:10:");
    }
}
