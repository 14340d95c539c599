//! `cargo xtask up`: from a fresh clone to a stack that runs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::cargo::{self, Profile};
use crate::engine::Engine;
use crate::rooms::{Client, Door};
use crate::say;
use crate::{engine, images};

/// The services that speak to clients.
pub(crate) const SPEAKING: [&str; 3] = ["app1", "app2", "nginx"];

/// Brings the first stack up and looks whether it works.
pub(crate) fn run(root: &Path) -> Result<()> {
    let engine = engine::ensure()?;
    engine.introduce()?;
    images::ensure(root, &engine, false)?;
    // Not the release profile: it takes minutes longer to make, and what is waited
    // for here is the engine and the build of the server's image, not stackctl.
    let program = cargo::build(root, "stackctl", Profile::Dev)?;
    let shown = program.strip_prefix(root).unwrap_or(&program).display().to_string();

    // --build, so that what runs is what the tree holds; an unchanged image is not made again.
    say(&format!("{shown} up --build --wait"));
    let status = stackctl(&program, root, &engine).args(["up", "--build", "--wait"]).status()?;
    ensure!(status.success(), "the stack is not up: {shown} ended with {status}");

    let output = stackctl(&program, root, &engine)
        .args(["ps", "--format", "json"])
        .stderr(Stdio::inherit())
        .output()
        .context("stackctl cannot be run")?;
    ensure!(output.status.success(), "{shown} ps ended with {}", output.status);
    let doors = doors(&String::from_utf8_lossy(&output.stdout), engine.host());
    check(&doors, &SPEAKING)
        .with_context(|| format!("the stack is up and does not work\nnext: {shown} logs\nwhy"))?;
    say(&farewell(&doors, &shown));
    Ok(())
}

fn stackctl(program: &Path, root: &Path, engine: &Engine) -> Command {
    let mut command = Command::new(program);
    let (name, value) = engine.variable();
    command.current_dir(root).env(name, value).args(["--file", "stack.yaml"]).stdin(Stdio::null());
    command
}

/// The published ports, by what `ps` shows: variables and an `.env` file may have moved them.
fn doors(lines: &str, host: &str) -> Vec<Door> {
    let containers = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    containers
        .filter_map(|container| {
            let publishers = container["Publishers"].as_array()?.iter();
            let published = publishers.filter(|publisher| publisher["PublishedPort"].as_u64() > Some(0));
            // An address of IPv4 comes first, where there are both.
            let publisher = published.min_by_key(|publisher| publisher["URL"].as_str().map(is_v6))?;
            let address = publisher["URL"].as_str().unwrap_or_default();
            let anywhere = matches!(address, "" | "0.0.0.0" | "::");
            Some(Door {
                service: container["Service"].as_str()?.to_owned(),
                host: if anywhere { host } else { address }.to_owned(),
                port: publisher["PublishedPort"].as_u64()?.try_into().ok()?,
            })
        })
        .collect()
}

fn is_v6(address: &str) -> bool {
    address.contains(':')
}

/// Sets a value through one server, and waits until it has come out everywhere else.
pub(crate) fn check(doors: &[Door], speaking: &[&str]) -> Result<()> {
    let room = format!("check-{}", std::process::id());
    let mut clients = Vec::new();
    for service in speaking {
        let door = doors.iter().find(|door| door.service == *service);
        let door = door.with_context(|| format!("{service} publishes no port"))?;
        let mut client = Client::connect(door)?;
        client.ask(json!({ "t": "join", "room": room }))?;
        clients.push(client);
    }
    let doc = json!({ "checked": true });
    let Some((writer, readers)) = clients.split_first_mut() else { bail!("nobody speaks") };
    let set = writer.ask(json!({ "t": "set", "room": room, "doc": doc }))?;
    for reader in readers {
        reader.sees(&room, &set["version"], &doc)?;
    }
    Ok(())
}

/// What there is now, and what to do next.
fn farewell(doors: &[Door], stackctl: &str) -> String {
    let mut text = "a value set through app1 arrived through app2 and through nginx\n\n".to_owned();
    for service in SPEAKING {
        for door in doors.iter().filter(|door| door.service == service) {
            let http = format!("http://{}/healthz", door.place());
            text.push_str(&format!("  {service:6} {http:38} {}\n", door.address()));
        }
    }
    text.push_str(&format!("\nnext\n  {stackctl} logs -f\n  {stackctl} down\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"Service":"app1","Publishers":[{"URL":"::","TargetPort":3001,"PublishedPort":3001},{"URL":"0.0.0.0","TargetPort":3001,"PublishedPort":3001}]}
{"Service":"nginx","Publishers":[{"URL":"127.0.0.1","TargetPort":80,"PublishedPort":8080}]}
{"Service":"inner","Publishers":[{"URL":"","TargetPort":9,"PublishedPort":0}]}
"#;

    #[test]
    fn doors_are_where_ports_are_published() {
        let doors = doors(LINES, "10.0.0.7");
        let found: Vec<_> = doors.iter().map(|door| (door.service.as_str(), door.place())).collect();
        assert_eq!(found, [("app1", "10.0.0.7:3001".to_owned()), ("nginx", "127.0.0.1:8080".to_owned())]);
    }

    #[test]
    fn the_end_shows_addresses_and_what_to_do_next() {
        let text = farewell(&doors(LINES, "127.0.0.1"), "target/debug/stackctl");
        for part in
            ["http://127.0.0.1:3001/healthz", "ws://127.0.0.1:8080/ws", "stackctl logs -f", "stackctl down"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_stack_without_a_door_does_not_pass_the_check() {
        let error = check(&[], &SPEAKING).expect_err("no door").to_string();
        assert_eq!(error, "app1 publishes no port");
    }
}
