//! What is told of a project and of its runs: `why`, `doctor`, `timeline`, `replay`, reports,
//! live lines and exit codes.

use std::fs;

use serde_json::Value;

use crate::pty::Terminal;
use crate::scenarios::SLEEPER;
use crate::support::Project;

/// A database that never becomes healthy, what waits for it, and one that is well.
fn half_well() -> Project {
    Project::new(&format!(
        "services:\n  db:\n    {SLEEPER}\n    healthcheck: {{ test: [CMD-SHELL, 'echo no route; exit 3'], interval: 300ms, retries: 3 }}\n  app:\n    {SLEEPER}\n    depends_on: {{ db: {{ condition: service_healthy }} }}\n  web:\n    {SLEEPER}\n    environment: {{ LEVEL: '1' }}\n"
    ))
}

#[test]
fn why_must_tell_the_cause_first_and_what_is_well() {
    let project = half_well();
    // Never brought up: that is no failure of anything.
    project.run(&["why", "web"]).exits(1).shows("✗ web has no container: nothing has made one");
    project.run(&["up", "--wait"]).exits(1);
    let why = project.run(&["why"]).exits(1);
    let why = why.shows("db/1 is not ready: unhealthy: its last ");
    let why = why.shows("exit 3: no route").shows("stack.yaml:7:").shows("stackctl logs db");
    let why = why.shows("app/1 is not running: it was made and never started; it needs db/1, which failed");
    let why = why.shows("✓ well: web");
    assert!(why.out.find("db/1 is").expect("db") < why.out.find("app/1 is").expect("app"), "{}", why.out);

    let app = project.run(&["why", "app"]).exits(1).shows("db/1 is not ready");
    app.shows("db healthy: db/1 is running, unhealthy (").shows("stackctl up -d app");
    project.run(&["why", "web"]).exits(0).shows("✓ web is well: running for");
    project.run(&["why", "wbe"]).exits(64).says("did you mean web?");

    let told: Value = serde_json::from_str(&project.run(&["why", "--json"]).exits(1).out).expect("JSON");
    assert_eq!((&told["schema"], &told["well"][0]), (&1.into(), &"web".into()));
    let db = &told["troubles"][0];
    assert_eq!((&db["address"], &db["service"]), (&"db/1".into(), &"db".into()));
    assert!(db["evidence"]["probes"].as_array().is_some_and(|probes| probes.len() >= 3));
    assert_eq!(db["declared"]["line"], 7);

    // By its name alone, from anywhere.
    project.elsewhere(&["-p", &project.name, "why", "db"]).exits(1).shows("unhealthy: its last ");
}

#[test]
fn why_must_tell_drift_ends_and_what_the_last_run_could_not_do() {
    let file = |level: &str, command: &str| {
        format!(
            "services:\n  web:\n    {SLEEPER}\n    environment: {{ LEVEL: '{level}' }}\n  job:\n    image: redis:latest\n    command: [sh, -c, '{command}']\n"
        )
    };
    let project = Project::new(&file("1", "true"));
    project.run(&["up", "--wait"]).exits(0);
    let why = crate::support::eventually("the job has ended", std::time::Duration::from_secs(30), || {
        let why = project.run(&["why"]).exits(0);
        why.out.contains("of these ended with exit code 0: job").then_some(why)
    });
    why.shows("all 2 services are well");
    project.run(&["why", "job"]).exits(0).shows("job is well: ended with exit code 0");
    project.write(&file("2", "echo broken >&2; exit 127"));
    let drift = project.run(&["why", "web"]).exits(1);
    let drift = drift.shows("web/1 is not as the file says: environment.LEVEL has changed");
    drift.shows("stack.yaml:7:").shows("stackctl plan web");
    project.run(&["up", "-d"]).exits(0);
    crate::support::eventually("it has ended", std::time::Duration::from_secs(30), || {
        let why = project.run(&["why", "job"]);
        (why.code == 1 && why.out.contains("ended with exit code 127")).then_some(())
    });
    let why = project.run(&["why", "job"]).shows("exit code 127: the command was not found");
    why.shows("stderr").shows("broken");
    project.run(&["down"]).exits(0);
    project.run(&["why", "web"]).exits(1).shows("nothing has made one");

    project.write("services:\n  web:\n    image: redis:latest\n    networks: [net]\nnetworks:\n  net: { driver: nope }\n");
    project.run(&["up", "-d"]).exits(1);
    let why = project.run(&["why"]).exits(1).shows("web has no container: the last run did not get to it");
    why.shows("network:net cannot be created: the engine has no driver nope").shows("stack.yaml:6:");
}

#[test]
fn doctor_must_find_this_engine_well_and_another_missing() {
    let mut project = Project::new("services: {}\n");
    let doctor = project.run(&["doctor"]);
    for name in [
        "engine",
        "version",
        "permissions",
        "storage",
        "disk",
        "cgroups",
        "forwarding",
        "addresses",
        "bridges",
        "dns",
        "clock",
        "swarm",
        "credentials",
        "state",
    ] {
        assert!(doctor.out.lines().any(|line| line.contains(&format!(" {name} "))), "{name}: {}", doctor.out);
    }
    let told: Value = serde_json::from_str(&project.run(&["doctor", "--json"]).out).expect("JSON");
    let wrong = told["checks"].as_array().expect("checks").iter().any(|check| check["state"] == "wrong");
    assert_eq!(doctor.code, i32::from(wrong), "{}", doctor.out);

    project.run(&["-H", "unix:///nowhere/docker.sock", "doctor"]).exits(4).shows("✗ engine").shows("next: ");

    // A helper for credentials that is not there.
    let folder = project.directory.path().join("docker");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("config.json"), "{\"credsStore\":\"nobody-has-this\"}").expect("a file");
    project.env("DOCKER_CONFIG", folder.display());
    project.run(&["doctor"]).exits(1).shows("docker-credential-nobody-has-this").shows("install it");
}

#[test]
fn a_run_must_be_recorded_and_told_again_in_time_and_for_ci() {
    let project = half_well();
    let report = project.directory.path().join("report.xml");
    let to = format!("junit={}", report.display());
    let recorded = project.run(&["--json", "up", "--wait", "--report", &to]).exits(1);
    let file = project.directory.path().join("run.jsonl");
    fs::write(&file, &recorded.err).expect("a file");
    let file = file.to_string_lossy().into_owned();

    let xml = fs::read_to_string(&report).expect("a report");
    assert!(xml.contains("failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
    assert!(xml.contains("name=\"db/1\"") && xml.contains("<failure type=\"is not ready\""), "{xml}");
    project.run(&["up", "--wait", "--report", "xml=x"]).exits(64).says("write junit=FILE");
    project.run(&["up", "-d", "--report", &to]).exits(64);

    // What was recorded is what the terminal would have shown.
    let plain = project.run(&["replay", &file]).exits(1);
    let plain =
        plain.says("✗ db/1 is not ready: unhealthy after 3 failed probes in").says("exit 3: no route");
    plain.says("app/1 was not brought up, because db/1 is not ready").says("1 failed");
    let again = project.run(&["--json", "replay", &file]).exits(1);
    let objects = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    assert_eq!(objects(&recorded.err), objects(&again.err));

    for arguments in [&["timeline"][..], &["timeline", &file]] {
        let timeline = project.run(arguments).exits(0).shows("critical path").shows("not begun: app/1");
        let timeline = timeline.shows(&project.name).shows("failed");
        assert!(
            timeline.out.lines().any(|line| line.starts_with("db/1") && line.contains('█')),
            "{}",
            timeline.out
        );
    }
    let page = project.directory.path().join("run.html");
    let page = page.to_string_lossy().into_owned();
    project.run(&["timeline", "--format", "html", "-o", &page]).exits(0);
    assert!(fs::read_to_string(&page).expect("a page").contains("<svg "));
    let told: Value = serde_json::from_str(&project.run(&["timeline", "--json"]).exits(0).out).expect("JSON");
    assert_eq!((&told["command"], &told["project"]), (&"up".into(), &project.name.as_str().into()));

    let other = project.directory.path().join("other.jsonl");
    fs::write(&other, "hello\n").expect("a file");
    project.run(&["replay", &other.to_string_lossy()]).exits(64).says("is no recorded run: line 1");
    project.run(&["timeline", "/nowhere.jsonl"]).exits(64).says("stackctl --json up");
}

#[test]
fn several_failures_must_be_told_causes_first_and_consequences_in_a_line() {
    let project = Project::new(
        "services:\n  app:\n    image: redis:latest\n    command: [sh, -c, 'echo no database >&2; exit 1']\n    depends_on: [db]\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n  db:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    command: [sh, -c, 'echo disk full >&2; sleep 600']\n    healthcheck: { test: [CMD, 'false'], interval: 300ms, retries: 3 }\n    deploy: { replicas: 2 }\n",
    );
    let up = project.run(&["up", "--wait"]).exits(1);
    let at = |text: &str| up.err.find(text).unwrap_or_else(|| panic!("{text:?} is missing:\n{}", up.err));
    // Whichever of the two was first.
    let whole = at("is not ready: unhealthy after 3 failed probes");
    let like = at("is not ready, too: unhealthy after");
    let line = at("✗ app/1 is not ready: ended with exit code 1; it needs db/");
    assert!(whole < like && like < line, "{}", up.err);
    // What the cause says is said once; what a consequence says is left to `why`.
    assert_eq!(up.err.matches("disk full").count(), 1, "{}", up.err);
    assert!(!up.err.contains("no database"), "{}", up.err);
    project.run(&["--verbose", "up", "--wait"]).exits(1).says("no database");
}

#[test]
fn a_terminal_must_see_who_waits_for_whom_and_lose_nothing() {
    let project = half_well();
    let mut command = project.command_of_a_person(&["up", "--wait"]);
    command.env_remove("NO_COLOR");
    let mut terminal = Terminal::run(&command, 12, 70);
    let mut shown = terminal.shows("waiting for db/1: probe");
    terminal.resize(5, 40);
    shown.push_str(&terminal.shows("not begun, after"));
    for text in ["web/1", "db/1 is not ready: unhealthy", "was not brought up"] {
        assert!(shown.contains(text), "{text:?} is missing:\n{shown}");
    }
    assert_eq!(terminal.ends(), 1);
    assert!(terminal.is_as_before());

    // Colours are not all that an escape sequence is for: without them lines are live all the same.
    let mut command = project.command_of_a_person(&["up", "--wait"]);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::run(&command, 12, 70);
    let shown = terminal.shows("not begun, after");
    assert!(shown.contains("\x1b[J") && !shown.contains("\x1b[3") && !shown.contains("\x1b[2m"), "{shown:?}");
    // Without any there is a plain line per change.
    let mut terminal =
        Terminal::run(&project.command_of_a_person(&["--ansi", "never", "up", "--wait"]), 12, 70);
    let shown = terminal.shows("not begun, after");
    assert!(!shown.contains('\x1b'), "{shown:?}");
}

#[test]
fn every_exit_code_must_come_as_the_table_says() {
    let project = Project::new(&format!("services:\n  web:\n    {SLEEPER}\n"));
    let help = project.run(&["--help"]).exits(0).out;
    let line = |code: i32| help.lines().any(|line| line.trim_start().starts_with(&format!("{code} ")));
    let comes = |code: i32, arguments: &[&str]| {
        assert!(line(code), "{code} is not in the table:\n{help}");
        project.run(arguments).exits(code)
    };
    comes(2, &["plan"]);
    comes(64, &["up", "--no-such-flag"]);
    comes(0, &["up", "-d"]);
    comes(0, &["plan"]);
    comes(4, &["-H", "unix:///nowhere/docker.sock", "up", "-d"]);
    let plan = project.directory.path().join("plan");
    let plan = plan.to_string_lossy().into_owned();
    project.write(&format!("services:\n  web:\n    {SLEEPER}\n    environment: {{ A: '1' }}\n"));
    comes(2, &["plan", "--out", &plan]);
    project.write(&format!("services:\n  web:\n    {SLEEPER}\n    environment: {{ A: '2' }}\n"));
    assert!(line(6));
    project.elsewhere(&["apply", &plan]).exits(6);
    // Codes of containers go through.
    comes(0, &["up", "-d"]);
    for code in [5, 77] {
        project.run(&["exec", "-T", "web", "sh", "-c", &format!("exit {code}")]).exits(code);
        project.run(&["run", "--rm", "web", "sh", "-c", &format!("exit {code}")]).exits(code);
    }
    project.write("services:\n  web:\n    image: redis:latest\n    entrypoint: [nosuch]\n");
    comes(1, &["up", "-d"]);
    project.write("services:\n  web:\n    imagee: redis:latest\n");
    comes(3, &["up", "-d"]);
    project.write(&format!(
        "services:\n  web:\n    {SLEEPER}\n    healthcheck: {{ test: [CMD, 'false'], interval: 60s }}\n"
    ));
    comes(7, &["up", "--wait", "--wait-timeout", "1"]).says("not ready within 1 s");
    project.write(&format!(
        "services:\n  web:\n    {SLEEPER}\n    networks: [net]\nnetworks:\n  net: {{ external: true, name: nobody-has-this-network }}\n"
    ));
    comes(8, &["up", "-d"]).says("nothing was done");
    let volume = |size: &str| {
        format!(
            "services:\n  web:\n    {SLEEPER}\n    volumes: ['data:/data']\nvolumes:\n  data: {{ driver_opts: {{ type: tmpfs, device: tmpfs, o: size={size} }} }}\n"
        )
    };
    project.write(&volume("1m"));
    comes(0, &["up", "-d"]);
    project.write(&volume("2m"));
    comes(5, &["up", "-d"]).says("would lose its data");
    // 130 has a test for each phase.
    assert!(line(130));
}
