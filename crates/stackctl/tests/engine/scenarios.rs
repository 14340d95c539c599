//! Scenarios on the real engine, each named as an obligation.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use crate::support::{Project, eventually, free_ports};
use stack_plan::observed::{ContainerState, Health};

const PATIENCE: Duration = Duration::from_secs(20);

/// A service that only sleeps, on an image that the first stack has anyway.
pub(crate) const SLEEPER: &str =
    "image: redis:latest\n    command: [sleep, '600']\n    stop_grace_period: 0s\n    init: true";

#[test]
fn up_must_change_only_what_changed_and_say_why_and_where() {
    let project = Project::new(&format!(
        "services:\n  one:\n    {SLEEPER}\n    environment: {{ LEVEL: info }}\n  two:\n    {SLEEPER}\n"
    ));
    project.run(&["plan"]).exits(2).shows("one/1").shows("missing").shows("3 to change, 0 unchanged");
    project.run(&["up", "-d"]).exits(0).says("one/1  started").says("3 changed");
    let before = project.ids();
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
    assert_eq!(before, project.ids());

    project.write(&format!(
        "services:\n  one:\n    {SLEEPER}\n    environment: {{ LEVEL: debug }}\n  two:\n    {SLEEPER}\n"
    ));
    let plan = project.run(&["plan"]).exits(2).shows("one/1").shows("replace").shows("environment.LEVEL");
    assert!(plan.out.contains("stack.yaml:7:27"), "{}", plan.out);
    assert!(!plan.out.contains("debug") && !plan.out.contains("info"), "values of variables may be secret");
    project.run(&["up", "-d"]).exits(0).says("1 changed");
    let after = project.ids();
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
    assert_eq!(project.observe().containers[0].name, format!("{}-one-1", project.name));
}

#[test]
fn a_dependent_must_wait_for_health_and_down_must_go_the_other_way() {
    let project = Project::new(&format!(
        "services:\n  app:\n    {SLEEPER}\n    depends_on:\n      db: {{ condition: service_healthy }}\n  db:\n    image: redis:latest\n    healthcheck: {{ test: [CMD, redis-cli, ping], interval: 1s }}\n"
    ));
    let up = project.run(&["up", "-d"]).exits(0);
    let at = |text: &str| up.err.find(text).unwrap_or_else(|| panic!("{text} in {}", up.err));
    assert!(at("db/1  started") < at("db/1  healthy") && at("db/1  healthy") < at("app/1  started"));
    let down = project.run(&["down", "--volumes"]).exits(0);
    let at = |text: &str| down.err.find(text).unwrap_or_else(|| panic!("{text} in {}", down.err));
    assert!(at("app/1  removed") < at("db/1  stopped"));
    assert!(at("db/1  removed") < at("network:default  removed"));
    assert!(project.observe().containers.is_empty());
}

#[test]
fn a_container_that_turns_unhealthy_must_stop_its_dependents_and_say_why() {
    let project = Project::new(&format!(
        "services:\n  db:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    command: [sh, -c, 'echo FATAL bad password; sleep 600']\n    healthcheck:\n      test: [CMD-SHELL, 'echo cannot connect to 5432; exit 3']\n      interval: 300ms\n      retries: 2\n  app:\n    {SLEEPER}\n    depends_on:\n      db: {{ condition: service_healthy }}\n"
    ));
    let up = project.run(&["up", "--wait"]).exits(1);
    let up = up.says("db/1 is not ready: unhealthy after").says("app waits for it");
    let up = up.says("exit 3: cannot connect to 5432").says("FATAL bad password").says("stackctl logs db");
    up.says("stack.yaml:8:13");
    let observed = project.observe();
    let app = observed.containers.iter().find(|found| found.service == "app").expect("it was made");
    assert_eq!(app.state, ContainerState::Created);
    project.run(&["down", "--volumes"]).exits(0);
}

#[test]
fn a_wait_that_takes_too_long_must_end_and_say_so() {
    let project = Project::new(&format!(
        "services:\n  slow:\n    {SLEEPER}\n    healthcheck: {{ test: [CMD, 'false'], interval: 60s }}\n"
    ));
    project
        .run(&["up", "--wait", "--wait-timeout", "1"])
        .exits(7)
        .says("slow/1 is not ready: not ready within 1 s")
        .says("[\"CMD\", \"false\"]");
}

#[test]
fn a_job_that_ends_well_must_count_as_ready_and_not_run_again() {
    let project = Project::new(&format!(
        "services:\n  job:\n    image: redis:latest\n    command: ['true']\n  app:\n    {SLEEPER}\n    depends_on:\n      job: {{ condition: service_completed_successfully }}\n"
    ));
    project.run(&["up", "--wait"]).exits(0).says("job/1  completed");
    project.run(&["up", "--wait"]).exits(0).says("nothing to change");
    project.run(&["up", "--wait", "job"]).exits(0).says("job/1  started");
}

#[test]
fn a_job_that_fails_must_stop_what_needs_it() {
    let project = Project::new(&format!(
        "services:\n  job:\n    image: redis:latest\n    command: [sh, -c, 'echo no such table; exit 7']\n  app:\n    {SLEEPER}\n    depends_on:\n      job: {{ condition: service_completed_successfully }}\n"
    ));
    project
        .run(&["up", "-d"])
        .exits(1)
        .says("job/1 did not complete: ended with exit code 7; app waits for it")
        .says("no such table");
}

#[test]
fn a_replaced_container_must_keep_its_anonymous_volumes() {
    let file = |level: &str| {
        format!(
            "services:\n  db:\n    {SLEEPER}\n    volumes: [/data]\n    environment: {{ LEVEL: {level} }}\n"
        )
    };
    let project = Project::new(&file("one"));
    project.run(&["up", "-d"]).exits(0);
    let volume = project.observe().containers[0].volumes.clone();
    assert!(volume[0].is_anonymous() && volume[0].target == "/data");
    project.write(&file("two"));
    project.run(&["up", "-d"]).exits(0);
    assert_eq!(volume, project.observe().containers[0].volumes);
    project.run(&["up", "-d", "--force-recreate", "--renew-anon-volumes"]).exits(0);
    assert_ne!(volume, project.observe().containers[0].volumes);
    // The volume that was let go has no owner any more.
    crate::support::perform(&stack_plan::plan::Action::RemoveVolume(volume[0].name.clone()));
}

#[test]
fn a_changed_volume_must_not_be_made_anew_without_consent() {
    let file = |size: &str| {
        format!(
            "services:\n  db:\n    {SLEEPER}\n    volumes: ['store:/store']\nvolumes:\n  store:\n    driver_opts: {{ type: tmpfs, device: tmpfs, o: 'size={size}' }}\n"
        )
    };
    let project = Project::new(&file("1m"));
    project.run(&["up", "-d"]).exits(0);
    let before = project.ids();
    project.write(&file("2m"));
    project.run(&["plan"]).exits(2).shows("recreate, LOSES DATA").shows("--allow-data-loss volume:store");
    project.run(&["up", "-d"]).exits(5).says("volume:store would lose its data; nothing was done");
    assert_eq!(before, project.ids());
    project.run(&["up", "-d", "--allow-data-loss", "volume:store"]).exits(0);
    assert_ne!(before, project.ids());
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
}

#[test]
fn a_port_in_use_must_be_said_with_its_line_and_the_next_up_must_finish() {
    let [port] = free_ports();
    let project = Project::new(&format!(
        "services:\n  web:\n    {SLEEPER}\n    ports:\n      - '{port}:80'\n  other:\n    {SLEEPER}\n"
    ));
    let taken = TcpListener::bind(("0.0.0.0", port)).expect("the port is free");
    project
        .run(&["up", "-d"])
        .exits(8)
        .says(&format!("port {port}/tcp is held by"))
        .says("publish another port")
        .says("stack.yaml:8:9");
    drop(taken);
    project.run(&["up", "-d"]).exits(0);
    assert!(project.observe().containers.iter().all(|found| found.state == ContainerState::Running));

    // When another container holds it, that one is named.
    let second = Project::new(&format!("services:\n  web:\n    {SLEEPER}\n    ports: ['{port}:80']\n"));
    second.run(&["up", "-d"]).exits(8).says(&format!("is held by the container {}-web-1", project.name));
}

#[test]
fn an_image_that_is_nowhere_must_be_said() {
    let project = Project::new("services:\n  web:\n    image: localhost:1/nobody/has:this\n");
    project.run(&["up", "-d"]).exits(1).says("image:localhost:1/nobody/has:this cannot be pulled");
    assert!(project.observe().containers.is_empty());
    project
        .run(&["up", "-d", "--pull", "never"])
        .exits(1)
        .says("there is no image localhost:1/nobody/has:this");
}

#[test]
fn a_build_that_fails_must_show_the_step_and_its_output() {
    let project = Project::new(
        "services:\n  web:\n    build:\n      context: .\n      dockerfile_inline: |\n        FROM redis:latest\n        RUN echo the cause of it >&2; exit 9\n",
    );
    project.run(&["up", "-d"]).exits(1).says("cannot be built").says("the cause of it").says("exit code: 9");
    project.run(&["build"]).exits(1);
}

#[test]
fn the_same_build_of_two_services_must_run_once_and_honour_what_is_ignored() {
    let project = Project::new(
        "services:\n  one: &app\n    build: { context: ctx, args: { WORD: hello } }\n    init: true\n    stop_grace_period: 0s\n  two:\n    <<: *app\n",
    );
    let context = project.directory.path().join("ctx");
    std::fs::create_dir(&context).expect("a directory");
    for (name, text) in [
        (
            "Dockerfile",
            "FROM redis:latest\nARG WORD\nCOPY . /ctx\nRUN echo $WORD > /word\nCMD [\"sh\", \"-c\", \"cat /word; ls /ctx; sleep 600\"]\n",
        ),
        (".dockerignore", "secret*\n"),
        ("secret.txt", "hush"),
        ("kept.txt", "kept"),
    ] {
        std::fs::write(context.join(name), text).expect("a file");
    }
    let up = project.run(&["up", "--wait"]).exits(0);
    assert_eq!(up.err.matches("building").count(), 1, "{}", up.err);
    let logs = eventually("the list of files", PATIENCE, || {
        let logs = project.run(&["logs", "one", "--no-log-prefix"]).exits(0);
        logs.out.contains("kept.txt").then_some(logs.out)
    });
    assert!(logs.contains("hello") && !logs.contains("secret.txt"), "{logs}");
    project.run(&["build"]).exits(0).says("cached");
    project.run(&["up", "--wait"]).exits(0).says("nothing to change");
}

#[test]
fn attached_up_must_show_logs_and_stop_everything_on_ctrl_c() {
    let project = Project::new(
        "services:\n  chatty:\n    image: redis:latest\n    init: true\n    command: [sh, -c, 'echo first line; sleep 600']\n    stop_grace_period: 1s\n",
    );
    let mut up = project.spawn(&["up", "--no-color"]);
    up.read_until("chatty-1  | first line\n");
    eventually("it runs", PATIENCE, || {
        (project.observe().containers[0].state == ContainerState::Running).then_some(())
    });
    std::thread::sleep(Duration::from_millis(300));
    up.signal("INT");
    up.wait().exits(130).says("press Ctrl-C again to kill").says("chatty/1  stopped");
    assert!(matches!(project.observe().containers[0].state, ContainerState::Exited(_)));
}

#[test]
fn attached_up_must_end_when_everything_has_ended() {
    let project =
        Project::new("services:\n  short:\n    image: redis:latest\n    command: [echo, done and gone]\n");
    let up = project.run(&["up", "--no-color"]).exits(0).says("short-1 ended with exit code 0");
    assert!(up.out.contains("short-1  | done and gone"), "{}", up.out);
}

#[test]
fn logs_must_be_cut_merged_and_marked_as_asked() {
    let project = Project::new(
        "services:\n  a: &talk\n    image: redis:latest\n    command: [sh, -c, 'for i in 1 2 3 4 5; do echo line $$i; done; sleep 0.2; echo oops >&2']\n  b: *talk\n",
    );
    project.run(&["up", "--wait"]).exits(0);
    eventually("both have said everything", PATIENCE, || {
        let all = project.observe().containers;
        all.iter().all(|found| found.state == ContainerState::Exited(0)).then_some(())
    });
    let logs = project.run(&["logs", "a", "--no-color"]).exits(0);
    assert_eq!(logs.out.lines().collect::<Vec<_>>(), [1, 2, 3, 4, 5].map(|n| format!("a-1  | line {n}")));
    assert!(logs.err.contains("a-1  | oops"));
    let tail = project.run(&["logs", "--tail", "2", "--no-log-prefix", "b"]).exits(0);
    assert_eq!(format!("{}{}", tail.out, tail.err), "line 5\noops\n");
    let times = project.run(&["logs", "-t", "a", "--no-log-prefix"]).exits(0);
    assert!(
        times.out.lines().all(|line| line.starts_with("20") && line.contains("Z line ")),
        "{}",
        times.out
    );
    assert_eq!(project.run(&["logs", "--since", "1h"]).exits(0).out.lines().count(), 10);
    assert_eq!(project.run(&["logs", "--until", "1h"]).exits(0).out, "");
    project.run(&["logs", "c"]).exits(64).says("there is no service c");
    project.run(&["logs", "--since", "soon"]).exits(64).says("soon is no time");
}

#[test]
fn ps_must_show_what_docker_compose_would() {
    let [port] = free_ports();
    let project = Project::new(&format!(
        "services:\n  web:\n    {SLEEPER}\n    ports: ['127.0.0.1:{port}:80']\n  gone:\n    image: redis:latest\n    command: [sh, -c, 'exit 3']\n"
    ));
    project.run(&["up", "-d"]).exits(0);
    eventually("it ends", PATIENCE, || {
        (project.observe().containers[0].state == ContainerState::Exited(3)).then_some(())
    });
    let lines = project.run(&["ps", "--format", "json"]).exits(0).json();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["Name"], format!("{}-web-1", project.name).as_str());
    assert_eq!(lines[0]["State"], "running");
    assert_eq!(lines[0]["Publishers"][0]["PublishedPort"], port);
    assert_eq!(lines[0]["Publishers"][0]["URL"], "127.0.0.1");
    let all = project.run(&["ps", "-a", "--format", "json"]).exits(0).json();
    assert_eq!(all[0]["Service"], "gone");
    assert_eq!(all[0]["ExitCode"], 3);
    project.run(&["ps"]).exits(0).shows("NAME").shows(&format!("127.0.0.1:{port}->80/tcp"));
    assert_eq!(project.run(&["ps", "-a", "--services"]).exits(0).out, "gone\nweb\n");
}

#[test]
fn what_the_command_line_and_the_file_get_wrong_must_be_said_with_the_next_step() {
    let project = Project::new(&format!("services:\n  web:\n    {SLEEPER}\n"));
    project.run(&["up", "-d", "wbe"]).exits(64).says("there is no service wbe").says("did you mean web?");
    project.run(&["up", "--scale", "web"]).exits(64).says("--scale web=3");
    project.run(&["up", "--colour"]).exits(64);
    project.write("services:\n  web:\n    imagee: redis:latest\n");
    project.run(&["up", "-d"]).exits(3).says("stack.yaml:3:5").says("imagee");
    project.write("services:\n  web: [\n");
    project.run(&["plan"]).exits(3).says("stack.yaml:");
    let mut command = project.command(&["ps"]);
    project.write(&format!("services:\n  web:\n    {SLEEPER}\n"));
    let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().expect("it runs");
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nowhere/docker.sock") && said.contains("DOCKER_HOST"), "{said}");
    let nothing = Command::new(env!("CARGO_BIN_EXE_stackctl"))
        .arg("up")
        .current_dir(project.directory.path().join(".."))
        .env_remove("COMPOSE_FILE")
        .output()
        .expect("it runs");
    assert_eq!(nothing.status.code(), Some(3), "{}", String::from_utf8_lossy(&nothing.stderr));
}

#[test]
fn progress_for_programs_must_be_json_lines() {
    let project = Project::new(&format!("services:\n  web:\n    {SLEEPER}\n"));
    let output = project.command(&["--progress", "json", "up", "-d"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert_eq!(events[0]["event"], "plan");
    assert!(events.iter().all(|event| event["schema"] == 1 && event["at"].is_string()));
    let last = events.last().expect("events");
    assert_eq!(last["event"], "finished");
    assert_eq!(last["succeeded"], true);
}

#[test]
fn health_left_to_the_engine_must_wait_for_its_verdict() {
    let project = Project::new(
        "services:\n  db:\n    image: redis:latest\n    healthcheck: { test: [CMD, redis-cli, ping], interval: 500ms }\n",
    );
    project.run(&["up", "--wait", "--health", "engine"]).exits(0);
    assert_eq!(project.observe().containers[0].health, Health::Healthy);
}

#[test]
fn scale_must_add_and_remove_the_highest_numbers() {
    let project = Project::new(&format!("services:\n  web:\n    {SLEEPER}\n    tmpfs: /data\n"));
    let names = || project.ids().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    project.run(&["up", "-d", "--scale", "web=3"]).exits(0);
    assert_eq!(names(), ["web/1", "web/2", "web/3"]);
    project.run(&["up", "-d", "--scale", "web=1"]).exits(0);
    assert_eq!(names(), ["web/1"]);
}

#[test]
fn several_networks_and_named_volumes_must_be_made_and_joined() {
    let project = Project::new(&format!(
        "services:\n  web:\n    {SLEEPER}\n    networks:\n      front: {{ aliases: [www] }}\n      back:\n    volumes: ['store:/store']\n    tmpfs: /data\nnetworks:\n  front:\n  back: {{ internal: true }}\nvolumes:\n  store:\n"
    ));
    project.run(&["up", "-d"]).exits(0);
    let observed = project.observe();
    let joined: Vec<_> = observed.containers[0].networks.keys().cloned().collect();
    assert_eq!(joined, [format!("{}_back", project.name), format!("{}_front", project.name)]);
    assert_eq!(observed.volumes[0].name, format!("{}_store", project.name));
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
    project.run(&["down"]).exits(0);
    assert_eq!(project.observe().volumes.len(), 1, "down keeps named volumes");
    project.run(&["down", "-v"]).exits(0);
    assert!(project.observe().volumes.is_empty());
}

#[test]
fn attached_up_must_show_what_is_said_now_and_not_what_was_said_before() {
    let project = Project::new(
        "services:\n  short:\n    image: redis:latest\n    command: [sh, -c, 'date +said%s%N']\n",
    );
    let first = project.run(&["up", "--no-color"]).exits(0);
    std::thread::sleep(Duration::from_millis(1500));
    let second = project.run(&["up", "--no-color"]).exits(0).says("short-1 ended with exit code 0");
    assert_eq!(
        (first.out.lines().count(), second.out.lines().count()),
        (1, 1),
        "{}{}",
        first.out,
        second.out
    );
    assert_ne!(first.out, second.out);
}
