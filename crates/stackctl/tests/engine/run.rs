//! `run`: a container of its own, with what the service needs.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use stack_plan::observed::{ContainerState, ObservedContainer};

use crate::exec::has_size;
use crate::pty::Terminal;
use crate::scenarios::SLEEPER;
use crate::support::{Project, eventually, free_ports};

fn one_offs(project: &Project) -> Vec<ObservedContainer> {
    project.observe().containers.into_iter().filter(|found| found.one_off).collect()
}

fn inspect(name: &str) -> Value {
    let output = Command::new("docker").args(["inspect", name]).output().expect("docker runs");
    let all: Value = serde_json::from_slice(&output.stdout).expect("what docker tells");
    all[0].clone()
}

#[test]
fn a_container_must_be_made_beside_the_services_own() {
    let [port] = free_ports();
    let project = Project::new(&format!(
        "services:\n  web:\n    {SLEEPER}\n    restart: always\n    ports: ['127.0.0.1:{port}:80']\n    networks: {{ default: {{ aliases: [www] }} }}\n"
    ));
    project.run(&["up", "-d"]).exits(0);
    let before = project.ids();
    let run = project.run(&["run", "-d", "web", "sleep", "60"]).exits(0);
    let id = run.out.trim();
    assert_eq!(id.len(), 64, "{}", run.out);
    let found = inspect(id);
    let name = found["Name"].as_str().expect("a name").trim_start_matches('/');
    let slug =
        name.strip_prefix(&format!("{}-web-run-", project.name)).expect("the name of a one-off container");
    let labels = &found["Config"]["Labels"];
    assert_eq!(slug.len(), 12, "{name}");
    assert!(labels["com.docker.compose.slug"].as_str().expect("a slug").starts_with(slug));
    assert_eq!(labels["com.docker.compose.oneoff"], "True");
    assert_eq!(labels["com.docker.compose.service"], "web");
    assert!(labels.get("com.docker.compose.container-number").is_none());
    assert_eq!(
        found["HostConfig"]["RestartPolicy"]["Name"].as_str().unwrap_or_default().replace("no", ""),
        ""
    );
    assert!(found["HostConfig"]["PortBindings"].as_object().is_none_or(serde_json::Map::is_empty));
    let aliases =
        found["NetworkSettings"]["Networks"][format!("{}_default", project.name)]["Aliases"].to_string();
    assert!(!aliases.contains("www") && !aliases.contains("\"web\""), "{aliases}");
    // The service's own is untouched, and the next `up` leaves the other alone.
    project.run(&["up", "-d"]).exits(0);
    assert!(before.iter().all(|known| project.ids().contains(known)));
    assert_eq!(one_offs(&project)[0].state, ContainerState::Running);
    project.run(&["down", "--remove-orphans", "-t", "0"]).exits(0);
    assert!(one_offs(&project).is_empty());
}

#[test]
fn the_exit_code_and_every_word_must_come_through() {
    let project = Project::new(
        "services:\n  job:\n    image: redis:latest\n    command: [sh, -c, 'echo own; exit 2']\n",
    );
    // The shortest container: its words are there before anybody could ask for its logs.
    for round in 0..10 {
        let word = format!("word {round}");
        let run =
            project.run(&["run", "--rm", "job", "sh", "-c", &format!("echo {word}; echo err >&2; exit 9")]);
        let run = run.exits(9);
        assert_eq!(run.out, format!("{word}\n"));
        assert!(run.err.contains("err\n"), "{}", run.err);
        assert!(one_offs(&project).is_empty(), "--rm removes it before the prompt is back");
    }
    project.run(&["run", "job"]).exits(2).shows("own\n");
    let left = one_offs(&project);
    assert_eq!((left.len(), left[0].state), (1, ContainerState::Exited(2)));
    project.run(&["run", "--rm", "--quiet", "job", "true"]).exits(0);
    let failed = project.run(&["run", "--entrypoint", "/no/such/program", "job"]);
    failed.exits(127).says("/no/such/program");
    assert_eq!(one_offs(&project).len(), 1, "what could not be started is taken back");
}

#[test]
fn what_the_service_needs_must_be_up_before_it_runs() {
    let project = Project::new(&format!(
        "services:
  app:
    image: redis:latest
    depends_on:
      db: {{ condition: service_healthy }}
      seed: {{ condition: service_completed_successfully }}
    command: [redis-cli, -h, db, get, seeded]
  db:
    image: redis:latest
    healthcheck: {{ test: [CMD, redis-cli, ping], interval: 1s }}
  seed:
    image: redis:latest
    depends_on: {{ db: {{ condition: service_healthy }} }}
    command: [redis-cli, -h, db, set, seeded, by-the-job]
  other:
    {SLEEPER}
"
    ));
    project.run(&["run", "--rm", "app"]).exits(0).shows("by-the-job");
    let services: Vec<String> = project.observe().containers.into_iter().map(|found| found.service).collect();
    assert_eq!(services, ["db", "seed"]);
    project.run(&["down", "-t", "0"]).exits(0);
    project.run(&["run", "--rm", "--no-deps", "app", "true"]).exits(0);
    assert!(project.observe().containers.is_empty());
    project.run(&["--dry-run", "run", "app"]).exits(0).shows("app/run").shows("dry run");
    assert!(project.observe().containers.is_empty());
}

#[test]
fn a_dependency_that_fails_must_keep_the_container_from_running() {
    let project = Project::new(
        "services:
  app:
    image: redis:latest
    depends_on: { job: { condition: service_completed_successfully } }
    command: [echo, ran]
  job: { image: 'redis:latest', command: [sh, -c, 'exit 3'] }
",
    );
    let run = project.run(&["run", "--rm", "app"]).exits(1).says("exit code 3");
    assert!(!run.out.contains("ran"), "{}", run.out);
    assert!(one_offs(&project).is_empty());
}

#[test]
fn the_command_line_must_stand_in_the_place_of_the_file() {
    let [port] = free_ports();
    let mut project = Project::new(
        "services:\n  web:\n    image: redis:latest\n    environment: { A: file, B: file }\n    volumes: [data:/data]\nvolumes: { data: {} }\n",
    );
    project.env("FROM_HERE", "here");
    let folder = project.directory.path();
    std::fs::write(folder.join("vars.env"), "B=vars\nC=vars-${D}\n").expect("written");
    std::fs::write(folder.join("shown"), "mounted").expect("written");
    let vars = folder.join("vars.env").display().to_string();
    let mount = format!("{}:/shown:ro", folder.join("shown").display());
    let script =
        "echo $A-$B-$C-$D-$FROM_HERE; id -u; pwd; cat /shown; grep CapEff /proc/self/status; sleep 60";
    let name = format!("{}-mine", project.name);
    let publish = format!("127.0.0.1:{port}:6379");
    project
        .run(&[
            "run",
            "-d",
            "--name",
            &name,
            "-e",
            "A=line",
            "-e",
            "D=1",
            "-e",
            "FROM_HERE",
            "--env-from-file",
            &vars,
            "-l",
            "mine=yes",
            "-u",
            "1000",
            "-w",
            "/tmp",
            "-v",
            &mount,
            "-p",
            &publish,
            "--cap-drop",
            "ALL",
            "--use-aliases",
            "--entrypoint",
            "sh -c",
            "web",
            script,
        ])
        .exits(0);
    let logs = eventually("it has said all", Duration::from_secs(10), || {
        let logs = Command::new("docker").args(["logs", &name]).output().expect("docker runs");
        let text = String::from_utf8_lossy(&logs.stdout).into_owned();
        text.contains("CapEff").then_some(text)
    });
    assert_eq!(logs, "line-vars-vars-1-1-here\n1000\n/tmp\nmountedCapEff:\t0000000000000000\n");
    let found = inspect(&name);
    assert_eq!(found["Config"]["Labels"]["mine"], "yes");
    assert_eq!(found["HostConfig"]["PortBindings"]["6379/tcp"][0]["HostPort"], port.to_string());
    let aliases =
        found["NetworkSettings"]["Networks"][format!("{}_default", project.name)]["Aliases"].to_string();
    assert!(aliases.contains("\"web\""), "{aliases}");
    for (arguments, why) in [
        (&["run", "-p", "nonsense", "web"][..], "--publish nonsense"),
        (&["run", "-v", "a:b", "web"][..], "--volume a:b"),
        (&["run", "-l", "nothing", "web"][..], "--label nothing has no value"),
        (&["run", "--entrypoint", "'open", "web"][..], "--entrypoint 'open"),
        (&["run", "wep"][..], "did you mean web?"),
        (&["run", "-P", "-p", "80", "web"][..], "exclude each other"),
    ] {
        project.run(arguments).exits(64).says(why);
    }
    project.run(&["run", "--env-from-file", "/nowhere", "web"]).exits(3).says("/nowhere");
}

#[test]
fn a_service_that_is_named_must_run_without_its_profile() {
    let project = Project::new(
        "services:\n  tool: { image: 'redis:latest', profiles: [tools], command: [echo, used] }\n  web: { image: 'redis:latest' }\n",
    );
    project.run(&["run", "--rm", "tool"]).exits(0).shows("used");
}

#[test]
fn signals_must_reach_the_container() {
    let project = Project::new("services:\n  job:\n    image: redis:latest\n");
    for (signal, code) in [("TERM", 15), ("INT", 2), ("USR1", 10)] {
        let script =
            format!("trap 'echo caught; exit {code}' {signal}; echo ready; while :; do sleep 0.1; done");
        let mut run = project.spawn(&["run", "--rm", "job", "sh", "-c", &script]);
        run.read_until("ready\n");
        run.signal(signal);
        run.wait().exits(code).shows("caught\n");
    }
    assert!(one_offs(&project).is_empty());
}

#[test]
fn an_interrupt_before_the_start_must_leave_no_container() {
    let project = Project::new(
        "services:
  app:
    image: redis:latest
    depends_on: { db: { condition: service_healthy } }
  db:
    image: redis:latest
    healthcheck: { test: [CMD, 'false'], interval: 1s, retries: 1000 }
",
    );
    let run = project.spawn(&["run", "app"]);
    eventually("the dependency runs", Duration::from_secs(20), || {
        let there = project.observe().containers;
        there.iter().any(|found| found.state == ContainerState::Running).then_some(())
    });
    run.signal("INT");
    run.wait().exits(130).says("interrupted");
    assert!(one_offs(&project).is_empty());
}

#[test]
fn a_person_must_get_a_terminal_and_a_pipe_none() {
    let project = Project::new("services:\n  job:\n    image: redis:latest\n");
    let mut terminal = Terminal::run(&project.command_of_a_person(&["run", "--rm", "job", "sh"]), 29, 91);
    terminal.shows("# ");
    has_size(&mut terminal, "29 91");
    terminal.types("exit 8\n");
    assert_eq!(terminal.ends(), 8);
    assert!(terminal.is_as_before());

    let mut command = project.command(&["run", "--rm", "job", "sh", "-c", "tty; wc -c"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("stackctl starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("standard input"), b"12345").expect("written");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "not a tty\n5\n");
}

#[test]
fn configs_hooks_and_namespaces_must_be_those_of_the_service() {
    let project = Project::new(&format!(
        "services:
  lender:
    {SLEEPER}
  app:
    image: redis:latest
    network_mode: service:lender
    depends_on: [lender]
    configs: [{{ source: note, target: /note, mode: 0o444 }}]
    post_start: [{{ command: [touch, /tmp/hooked] }}]
    command: [sh, -c, 'until [ -e /tmp/hooked ]; do sleep 0.1; done; cat /note; hostname']
configs: {{ note: {{ content: noted }} }}
"
    ));
    let run = project.run(&["run", "--rm", "app"]).exits(0);
    let lender = project.ids().into_iter().find(|(known, _)| known == "lender/1").expect("the lender").1;
    assert_eq!(run.out, format!("noted{}\n", &lender[..12]));
    project.run(&["down", "-t", "0"]).exits(0);
    project.write(
        "services:\n  app:\n    image: redis:latest\n    post_start: [{ command: [sh, -c, 'exit 3'] }]\n    command: [sleep, '1']\n",
    );
    project.run(&["run", "--rm", "app"]).exits(1).says("post_start");
}
