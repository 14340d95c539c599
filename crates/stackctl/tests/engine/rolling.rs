//! Replacing running containers on the real engine, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use stack_plan::observed::ContainerState;

use crate::interrupted::{Chance, seed};
use crate::support::{Project, eventually, free_ports};

/// How often stackctl is killed in the middle of a change.
const MOMENTS: u32 = 12;

/// A service that is good where `GOOD` is 1, at once.
pub(crate) fn web(good: &str, level: &str, more: &str) -> String {
    format!(
        "services:
  web:
    image: redis:latest
    command: [sh, -c, 'echo level {level}; exec sleep 600']
    init: true
    stop_grace_period: 0s
    environment: {{ GOOD: '{good}', LEVEL: '{level}' }}
    healthcheck: {{ test: 'test \"$$GOOD\" = 1', interval: 1s, retries: 2 }}
{more}"
    )
}

/// The containers that run: name to id.
fn running(project: &Project) -> BTreeMap<String, String> {
    let containers = project.observe().containers.into_iter();
    let running = containers.filter(|found| found.state == ContainerState::Running);
    running.map(|found| (found.name, found.id)).collect()
}

pub(crate) const START_FIRST: &str =
    "    scale: 3\n    deploy: { update_config: { order: start-first, failure_action: rollback } }\n";

#[test]
fn a_good_version_must_take_every_place_and_leave_nothing_behind() {
    let project = Project::new(&web("1", "a", START_FIRST));
    project.run(&["up", "--wait"]).exits(0);
    let before = running(&project);
    project.write(&web("1", "b", START_FIRST));
    project
        .run(&["plan", "--steps"])
        .exits(2)
        .shows("web/1, start, changed: command[2], environment.LEVEL; taken back by: stop")
        .shows("web: start-first; when more than 0 % fail: rollback, 1 at a time");
    project.run(&["up", "-d"]).exits(0).says("web/3  steady");
    let after = running(&project);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let old: BTreeSet<&String> = before.values().collect();
    assert!(after.values().all(|id| !old.contains(id)), "{before:?} {after:?}");
    assert_eq!(project.observe().containers.len(), 3);
    project.run(&["plan"]).exits(0);
}

#[test]
fn a_bad_version_must_go_and_what_it_had_replaced_must_serve_again() {
    for order in ["start-first", "stop-first"] {
        let more = START_FIRST.replace("start-first", order);
        let project = Project::new(&web("1", "a", &more));
        project.run(&["up", "--wait"]).exits(0);
        let before = running(&project);
        project.write(&web("0", "b", &more));
        project
            .run(&["up", "-d"])
            .exits(9)
            .says("web/1 is not ready: unhealthy after")
            .says("stdout    level b")
            .says("web/1  taken back")
            .says("rolled back: what it had replaced serves again");
        assert_eq!(running(&project), before, "{order}");
        assert_eq!(project.observe().containers.len(), 3, "{order}");
    }
}

#[test]
fn what_ends_at_once_without_a_health_check_must_be_taken_back() {
    let yaml = |command: &str| {
        format!(
            "services:
  web:
    image: redis:latest
    command: [sh, -c, '{command}']
    init: true
    restart: always
    stop_grace_period: 0s
    deploy: {{ update_config: {{ monitor: 2s }} }}
"
        )
    };
    let project = Project::new(&yaml("exec sleep 600"));
    project.run(&["up", "-d"]).exits(0);
    let before = running(&project);
    project.write(&yaml("echo broken; exit 3"));
    project.run(&["up", "-d"]).exits(9).says("ended with exit code 3").says("stdout    broken");
    assert_eq!(running(&project), before);
}

#[test]
fn a_fixed_port_must_make_the_old_one_go_first() {
    let [port] = free_ports();
    let more = format!("    ports: ['127.0.0.1:{port}:6379']\n");
    let project = Project::new(&web("1", "a", &more));
    project.run(&["up", "--wait"]).exits(0);
    let before = running(&project);
    let reason = format!("only one container at a time can have port {port} of the host");
    project.write(&web("0", "b", &more));
    project.run(&["plan", "--rolling"]).exits(2).shows(&reason);
    project.run(&["up", "-d", "--rolling"]).exits(9);
    assert_eq!(running(&project), before);
    project.write(&web("1", "c", &more));
    project.run(&["up", "-d", "--rolling"]).exits(0);
    assert_ne!(running(&project), before);
}

#[test]
fn a_run_that_is_killed_must_be_finished_or_undone_by_the_next() {
    let project = Project::new(&web("1", "a", START_FIRST));
    project.run(&["up", "--wait"]).exits(0);
    let before = running(&project);
    // Killed while the new one is looked at: it is not good yet, and never will be.
    project.write(&web("0", "b", START_FIRST));
    let up = project.spawn(&["up", "-d"]);
    eventually("a new one runs", Duration::from_secs(60), || (running(&project).len() > 3).then_some(()));
    drop(up);
    project.run(&["up", "-d"]).exits(9);
    assert_eq!(running(&project), before);
    project.write(&web("1", "c", START_FIRST));
    project.run(&["up", "-d"]).exits(0);
    assert_eq!(running(&project).len(), 3);
    assert_eq!(project.observe().containers.len(), 3);
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed of a run that fails makes it again")]
fn killed_at_any_moment_the_next_run_must_finish_a_good_version_and_undo_a_bad_one() {
    let seed = seed();
    eprintln!("STACKCTL_SEED={seed}");
    let mut chance = Chance(seed);
    // Of three, so many serve at every moment.
    let orders = [("start-first", 3), ("stop-first", 2)];
    let more = |order: &str| START_FIRST.replace("start-first", order);
    let project = Project::new(&web("1", "0", &more("start-first")));
    project.run(&["up", "--wait"]).exits(0);
    let mut serving = running(&project);
    let mut whole = [Duration::ZERO; 2];
    for round in 0..MOMENTS + 2 {
        let bad = round % 2 == 1;
        let (order, least) = orders[(round / 2 % 2) as usize];
        let text = web(if bad { "0" } else { "1" }, &round.to_string(), &more(order));
        project.write(&text);
        // The first of each is not killed: it tells how long the others would take.
        let moment = whole[usize::from(bad)].mul_f64(chance.next());
        let told = format!("round {round}, {order}, killed after {moment:?}, seed {seed}");
        if round >= 2 {
            let mut command = project.command(&["up", "-d"]);
            let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let mut killed = child.expect("stackctl starts");
            std::thread::sleep(moment);
            // It may have come to its end before.
            let _: std::io::Result<()> = killed.kill();
            killed.wait().expect("an end");
            assert!(running(&project).len() >= least, "{told}: {:?}", running(&project));
        }
        let begun = Instant::now();
        let up = project.run(&["up", "-d"]);
        if round < 2 {
            whole[usize::from(bad)] = begun.elapsed();
        }
        assert_eq!(up.code, if bad { 9 } else { 0 }, "{told}\n{}", up.err);
        let after = running(&project);
        assert_eq!(after.keys().collect::<Vec<_>>(), serving.keys().collect::<Vec<_>>(), "{told}");
        assert_eq!(project.observe().containers.len(), 3, "{told}");
        if bad {
            assert_eq!(after, serving, "{told}\n{}", up.err);
        } else {
            assert_eq!(project.run(&["plan"]).code, 0, "{told}\n{}", up.err);
        }
        serving = after;
    }
}

#[test]
fn rollout_must_replace_and_a_rolling_restart_must_keep_the_containers() {
    let project = Project::new(&web("1", "a", "    scale: 2\n"));
    project.run(&["up", "--wait"]).exits(0);
    let first = running(&project);
    project.run(&["rollout", "web"]).exits(0).says("web/2  steady");
    let second = running(&project);
    assert_eq!(second.len(), 2);
    assert!(second.values().all(|id| !first.values().any(|old| old == id)));
    project.run(&["restart", "--rolling"]).exits(0).says("web/1  steady").says("web/2  steady");
    assert_eq!(running(&project), second);
}

/// Asks again and again; what was asked, and what was not answered well.
struct Poller {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(usize, Vec<String>)>,
}

impl Poller {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asking = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let (mut asked, mut failed) = (0, Vec::new());
                while !stop.load(Ordering::Acquire) {
                    asked += 1;
                    match ask(port) {
                        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {}
                        Ok(answer) => failed.push(answer.lines().next().unwrap_or_default().to_owned()),
                        Err(error) => failed.push(error.to_string()),
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                (asked, failed)
            }
        });
        Self { stop, asking }
    }

    fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Release);
        self.asking.join().expect("no panic")
    }
}

fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The configuration of nginx that the manual shows.
fn nginx_of_the_manual() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rolling.md");
    let manual = std::fs::read_to_string(path).expect("docs/rolling.md");
    let (_, rest) = manual.split_once("```nginx\n").expect("a configuration");
    let (text, _) = rest.split_once("```").expect("its end");
    format!("events {{}}\n{text}")
}

#[test]
fn through_the_proxy_of_the_manual_no_request_must_fail_while_a_scaled_service_is_replaced() {
    let [port] = free_ports();
    let proxy = nginx_of_the_manual().replace('$', "$$").replace('\n', "\n      ");
    let stack = |level: &str, look: &str| {
        format!(
            "services:
  web:
    image: nginx:latest
    scale: 3
    environment: {{ LEVEL: '{level}' }}
    stop_grace_period: 5s
    healthcheck: {{ test: [{look}], interval: 1s, retries: 2 }}
    deploy: {{ update_config: {{ order: start-first, delay: 2s, failure_action: rollback }} }}
  proxy:
    image: nginx:latest
    ports: ['127.0.0.1:{port}:80']
    stop_grace_period: 0s
    configs: [{{ source: proxy, target: /etc/nginx/nginx.conf }}]
    depends_on: {{ web: {{ condition: service_healthy }} }}
configs:
  proxy:
    content: |
      {proxy}
"
        )
    };
    let good = "CMD, curl, '-fsS', 'http://127.0.0.1/'";
    let project = Project::new(&stack("a", good));
    project.run(&["up", "--wait"]).exits(0);
    let before = running(&project);
    let poller = Poller::start(port);
    project.write(&stack("b", good));
    let replaced = project.run(&["up", "-d"]);
    project.write(&stack("c", "CMD, 'false'"));
    let refused = project.run(&["up", "-d"]);
    let (asked, failed) = poller.end();
    replaced.exits(0).says("web/3  steady");
    refused.exits(9).says("rolled back");
    let after = running(&project);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let kept = after.values().filter(|id| before.values().any(|old| old == *id)).count();
    assert_eq!(kept, 1, "only the proxy stays: {before:?} {after:?}");
    assert!(failed.is_empty() && asked > 50, "{} of {asked} failed: {failed:?}", failed.len());
}

#[test]
fn a_container_with_a_name_of_its_own_must_be_replaced_while_it_serves() {
    let project = Project::new("services: {}\n");
    let name = format!("{}-named", project.name);
    let other = format!("{name}-anew");
    let named = |good: &str, level: &str, name: &str| {
        web(good, level, &START_FIRST.replace("scale: 3", &format!("container_name: {name}")))
    };
    project.write(&named("1", "a", &name));
    project.run(&["up", "--wait"]).exits(0);
    let first = running(&project);
    project.write(&named("1", "b", &name));
    let planned = project.run(&["plan", "--steps"]).exits(2).shows("web: start-first");
    assert!(!planned.err.contains("replaced at once"), "{}", planned.err);
    project.run(&["up", "-d"]).exits(0).says("web/1  steady");
    let second = running(&project);
    assert_eq!(second.keys().collect::<Vec<_>>(), [&name]);
    assert_ne!(first[&name], second[&name]);
    project.write(&named("0", "c", &name));
    project.run(&["up", "-d"]).exits(9);
    assert_eq!(running(&project), second);
    // Killed while the new one is looked at; then it gets another name.
    let up = project.spawn(&["up", "-d"]);
    eventually("a new one runs", Duration::from_secs(60), || (running(&project).len() > 1).then_some(()));
    drop(up);
    project.write(&named("1", "d", &other));
    project.run(&["up", "-d"]).exits(0);
    assert_eq!(running(&project).keys().collect::<Vec<_>>(), [&other]);
    assert_eq!(project.observe().containers.len(), 1);
    project.run(&["plan"]).exits(0);
}
