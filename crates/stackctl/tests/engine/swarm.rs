//! A stack on Docker Swarm: one node, an engine of the test's own in a network of its own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Project;

/// How long an engine may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A manager of a swarm of one node, which needs dockerd, root and `unshare`.
struct Manager {
    directory: tempfile::TempDir,
    child: Child,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let log = std::fs::File::create(at("log")).expect("a file");
        // An engine without a bridge of its own takes away that of the machine's.
        let engine = format!(
            "ip link set lo up && ip link add swarm0 type veth peer name swarm1 && ip addr add 10.98.0.1/24 dev swarm0 && \
             ip link set swarm0 up && ip link set swarm1 up && exec dockerd -H {} --data-root {} --exec-root {} --pidfile {}",
            format_args!("unix://{}", at("socket")),
            at("data"),
            at("exec"),
            at("pid"),
        );
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", &engine]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut manager = Self { directory, child: child.expect("this test needs unshare") };
        let begun = Instant::now();
        while !manager.docker(&["version"]).0 {
            let ended = manager.child.try_wait().ok().flatten();
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(manager.at("log")).unwrap_or_default();
                panic!("the engine does not answer; it ended: {ended:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let (begun, said) = manager.docker(&["swarm", "init", "--advertise-addr", "10.98.0.1"]);
        assert!(begun, "{said}");
        manager
    }

    fn at(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn host(&self) -> String {
        format!("unix://{}", self.at("socket"))
    }

    /// Whether docker did it, and what it said.
    fn docker(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new("docker");
        command.args(["-H", &self.host()]).args(arguments).stdin(Stdio::null());
        let output = command.output().expect("docker runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn lines(&self, arguments: &[&str]) -> Vec<String> {
        self.docker(arguments).1.lines().map(str::to_owned).collect()
    }

    fn load(&self, image: &str) {
        let save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn();
        let mut save = save.expect("docker runs");
        let mut load = Command::new("docker");
        load.args(["-H", &self.host(), "load"]).stdin(save.stdout.take().expect("its output"));
        assert!(load.stdout(Stdio::null()).status().expect("docker runs").success());
        assert!(save.wait().expect("an end").success());
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _: (bool, String) = self.docker(&["swarm", "leave", "--force"]);
        let pid = std::fs::read_to_string(self.at("pid")).unwrap_or_default();
        match pid.trim() {
            "" => drop(self.child.kill()),
            pid => drop(Command::new("kill").args(["-TERM", pid]).status()),
        }
        let _: std::io::Result<_> = self.child.wait();
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let own = self.directory.path().display().to_string();
        for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
            if place.starts_with(&own) {
                let _: std::io::Result<_> = Command::new("umount").args(["-l", "-q", place]).status();
            }
        }
    }
}

const STACK: &str = r#"
x-stackctl: { engine: swarm }
services:
  db:
    image: redis:latest
    healthcheck: { test: [CMD, redis-cli, ping], interval: 500ms, retries: 2 }
    configs: [app]
    secrets: [token]
    deploy:
      endpoint_mode: dnsrr
      update_config: { failure_action: rollback, monitor: 1s, order: start-first }
  migrate:
    image: redis:latest
    command: [sh, -c, "redis-cli -h db set made yes"]
    restart: "no"
    depends_on: { db: { condition: service_healthy } }
  web:
    image: redis:latest
    command: [redis-server, --port, "6380"]
    environment: { LEVEL: info }
    depends_on: { migrate: { condition: service_completed_successfully } }
    deploy: { endpoint_mode: dnsrr, replicas: 2, update_config: { monitor: 500ms, parallelism: 0 } }
configs: { app: { content: "a = 1" } }
secrets: { token: { environment: TOKEN } }
"#;

/// What docker has of the project.
fn left(manager: &Manager, name: &str) -> Vec<String> {
    let filter = format!("label=com.docker.stack.namespace={name}");
    let lists: [&[&str]; 5] = [
        &["service", "ls", "-q", "--filter"],
        &["config", "ls", "-q", "--filter"],
        &["secret", "ls", "-q", "--filter"],
        &["network", "ls", "-q", "--filter"],
        &["ps", "-aq", "--filter"],
    ];
    lists.iter().flat_map(|list| manager.lines(&[*list, &[&filter]].concat())).collect()
}

#[test]
fn a_stack_on_a_swarm_comes_up_changes_goes_back_and_leaves_nothing() {
    let manager = Manager::new();
    manager.load("redis:latest");
    let mut project = Project::new(STACK);
    project.env("DOCKER_HOST", manager.host());
    project.env("TOKEN", "never-seen-7f3a");
    let name = project.name.clone();

    // It comes up in the order of what it needs, and then there is nothing to do.
    let up = project.run(&["up", "--wait"]).exits(0);
    let told = |word: &str| up.err.find(word).unwrap_or_else(|| panic!("{word}: {}", up.err));
    assert!(told("service:db  converged") < told("service:migrate  created"), "{}", up.err);
    assert!(told("service:migrate  completed") < told("service:web  created"), "{}", up.err);
    project.run(&["plan"]).exits(0);
    let again = project.run(&["up", "--wait"]).exits(0);
    assert!(again.err.contains("nothing to change"), "{}", again.err);
    assert!(manager.lines(&["stack", "ls"]).iter().any(|line| line.contains(&name)));

    // ps tells the node, logs come from all tasks.
    let ps = project.run(&["ps"]).exits(0).out;
    assert!(ps.contains("NODE") && ps.contains(&format!("{name}_web.2")), "{ps}");
    let logs = project.run(&["logs", "web"]).exits(0).out;
    assert!(logs.contains("web-1 ") && logs.contains("web-2 "), "{logs}");

    // A change replaces the tasks of that service alone.
    let tasks = |service: &str| {
        manager.lines(&[
            "service",
            "ps",
            "-q",
            "--filter",
            "desired-state=running",
            &format!("{name}_{service}"),
        ])
    };
    let (db, web) = (tasks("db"), tasks("web"));
    project.write(&STACK.replace("LEVEL: info", "LEVEL: debug"));
    let plan = project.run(&["plan"]).exits(2).out;
    assert!(plan.contains("environment.LEVEL") && !plan.contains("service:db  "), "{plan}");
    project.run(&["up", "--wait"]).exits(0);
    assert_eq!(tasks("db"), db);
    assert!(tasks("web").iter().all(|task| !web.contains(task)));
    let changed = STACK.replace("LEVEL: info", "LEVEL: debug");

    // Another content is another config; the old one goes.
    let own = format!("label=com.docker.stack.namespace={name}");
    let configs = || manager.lines(&["config", "ls", "--format", "{{.Name}}", "--filter", &own]);
    let before = configs();
    let changed = changed.replace("a = 1", "a = 2");
    project.write(&changed);
    project.run(&["up", "--wait"]).exits(0);
    let now = configs();
    assert!(now.len() == 1 && now != before && now[0].starts_with(&format!("{name}_app_")), "{now:?}");

    // What is not healthy is put back, and that is no success.
    project
        .write(&changed.replace("[CMD, redis-cli, ping]", "[CMD, sh, -c, 'echo cannot reach it; exit 1']"));
    let bad = project.run(&["up", "--wait"]);
    assert_eq!(bad.code, 9, "{}", bad.err);
    for words in ["failed its health check", "put back what was there before", "cannot reach it"] {
        assert!(bad.err.contains(words), "{words}: {}", bad.err);
    }
    project.write(&changed);
    project.run(&["up", "--wait"]).exits(0);

    // An image that is not there is told, and the job is not run again for it.
    project
        .write(&changed.replace("command: [redis-server, --port, \"6380\"]", "command: [no-such-program]"));
    let bad = project.run(&["up", "--wait"]);
    assert_eq!(bad.code, 1, "{}", bad.err);
    assert!(bad.err.contains("exit code 127") && !bad.err.contains("service:migrate"), "{}", bad.err);
    project.write(&changed);

    // The file is not for one engine, and a command for containers says so.
    let other = project.run(&["--engine", "docker", "up"]);
    assert!(other.code == 8 && other.err.contains("the stack belongs to swarm"), "{}", other.err);
    let stop = project.run(&["stop"]);
    assert!(stop.code == 8 && stop.err.contains("one of a swarm"), "{}", stop.err);

    project.run(&["down"]).exits(0);
    assert_eq!(left(&manager, &name), Vec::<String>::new());
}

/// A service with a health check and one that others can be told from by what they say.
const PLAIN: &str = r#"
x-stackctl: { engine: swarm }
services:
  db:
    image: redis:latest
    healthcheck: { test: [CMD, redis-cli, ping], interval: 500ms, retries: 2 }
    stop_grace_period: 1s
    volumes: [{ type: volume, source: data, target: /data, volume: { nocopy: true } }, { type: tmpfs, target: /cache }]
    deploy:
      endpoint_mode: dnsrr
      resources: { limits: { memory: 100m, cpus: "1.5" }, reservations: { memory: 8m } }
      update_config: { monitor: 500ms, max_failure_ratio: 0.2 }
      restart_policy: { condition: on-failure, delay: 1s, max_attempts: 3, window: 10s }
  web:
    image: redis:latest
    command: [redis-server, --port, "6380"]
    environment: { LEVEL: info }
    stop_grace_period: 1s
    configs: [app]
    deploy: { endpoint_mode: dnsrr, update_config: { monitor: 500ms, parallelism: 0 } }
volumes: { data: { driver_opts: { type: tmpfs, device: tmpfs } } }
configs: { app: { content: "a = 1" } }
"#;

#[test]
fn what_a_person_does_on_a_swarm_is_told_and_mended_and_there_is_a_way_back() {
    let manager = Manager::new();
    manager.load("redis:latest");
    let mut project = Project::new(PLAIN);
    project.env("DOCKER_HOST", manager.host());
    let name = project.name.clone();
    let inspect = |service: &str, what: &str| {
        manager.docker(&["service", "inspect", "-f", what, &format!("{name}_{service}")]).1.trim().to_owned()
    };

    // --wait waits with -d, too, and then nothing differs from what was made.
    project.run(&["up", "-d", "--wait"]).exits(0).says("service:web  converged");
    project.run(&["plan"]).exits(0);
    project.run(&["why"]).exits(0).shows("all 2 services are well");
    let ping = ["exec", "-T", "web", "redis-cli", "-p", "6380", "ping"];
    project.run(&ping).exits(0).shows("PONG");
    project.run(&["exec", "-T", "web", "sh", "-c", "exit 7"]).exits(7);

    // A restart replaces tasks by equal ones.
    let test = "{{.Spec.TaskTemplate.ContainerSpec.Healthcheck.Test}}";
    assert_eq!(inspect("db", test), "[CMD redis-cli ping]");
    project.run(&["restart", "db"]).exits(0);
    assert_eq!(inspect("db", test), "[CMD redis-cli ping]");
    project.run(&["status"]).exits(0);

    // What was done by hand is told, field by field, and mended.
    let web = format!("{name}_web");
    assert!(manager.docker(&["service", "update", "-d", "--env-add", "BY=hand", "--user", "0", &web]).0);
    assert!(manager.docker(&["service", "scale", "-d", &format!("{web}=0")]).0);
    let told = project.run(&["status"]).exits(2);
    for words in ["web  environment.BY", "web  user  (none) → 0", "web  deploy.replicas  1 → 0"] {
        assert!(told.out.contains(words), "{words}: {}", told.out);
    }
    project.run(&["why", "web"]).exits(1).shows("deploy.replicas");
    project.run(&["plan"]).exits(2).shows("changed by hand");
    project.run(&["up", "--wait"]).exits(0);
    project.run(&["status"]).exits(0);
    assert_eq!(project.run(&["history", "-q"]).exits(0).out, "1\n");

    // Without a wait the old config is left to the next run.
    let configs = || {
        manager.lines(&[
            "config",
            "ls",
            "-q",
            "--filter",
            &format!("label=com.docker.stack.namespace={name}"),
        ])
    };
    let changed = PLAIN.replace("LEVEL: info", "LEVEL: debug").replace("a = 1", "a = 2");
    project.write(&changed);
    project.run(&["up", "-d"]).exits(0);
    assert_eq!(configs().len(), 2);
    project.run(&["up", "--wait"]).exits(0);
    assert_eq!(configs().len(), 1);

    // The way back needs no file, and brings back what was in the config.
    project.run(&["history"]).exits(0).shows("web: configs.app, environment.LEVEL");
    project.write("services: [");
    let mut back = Command::new(env!("CARGO_BIN_EXE_stackctl"));
    back.args(["-p", &name, "--engine", "swarm", "-H", &manager.host(), "rollback"]).current_dir("/");
    back.env("COMPOSE_PROGRESS", "plain").env("XDG_STATE_HOME", project.state.path()).stdin(Stdio::null());
    let output = back.output().expect("stackctl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(inspect("web", "{{.Spec.TaskTemplate.ContainerSpec.Env}}").contains("LEVEL=info"));
    project.write(PLAIN);
    assert_eq!(project.run(&["history", "-q"]).exits(0).out, "3\n2\n1\n");
    project.run(&["plan"]).exits(0);

    // Who stays sees what tasks say; to go away stops nothing.
    let mut up = project.spawn(&["up", "--force-recreate", "web"]);
    up.read_until("Ready to accept connections");
    up.signal("INT");
    up.wait().exits(0).says("detached: the stack goes on");
    project.run(&ping).exits(0);

    // A task that cannot run is told with its error and its last lines.
    project.write(&PLAIN.replace("[CMD, redis-cli, ping]", "[CMD, sh, -c, 'echo cannot reach it; exit 1']"));
    project.run(&["up", "--wait"]).exits(1);
    let why = project.run(&["why"]).exits(1);
    for words in ["db is not as the file says", "failed its health check", "cannot reach it", "well: web"] {
        assert!(why.out.contains(words), "{words}: {}", why.out);
    }
    project.write(PLAIN);
    project.run(&["up", "--wait"]).exits(0);

    // What no node can take, and what others have there, is refused before anything is done.
    let refused = |text: &str, words: &str| {
        project.write(text);
        project.run(&["up", "--wait"]).exits(8).says(words);
    };
    refused(
        &PLAIN.replace(
            "parallelism: 0 } }",
            "parallelism: 0 }, placement: { constraints: [node.labels.disk==ssd] } }",
        ),
        "its node.labels.disk is nothing",
    );
    let web = "    environment: { LEVEL: info }\n";
    refused(
        &PLAIN.replace(web, "    volumes: [{ type: bind, source: /nowhere/conf, target: /conf, bind: { create_host_path: false } }]\n"),
        "web binds /nowhere/conf, which is not there on",
    );
    assert!(manager.docker(&["run", "-d", "--name", "holder", "-p", "16999:6379", "redis:latest"]).0);
    refused(
        &PLAIN.replace(web, "    ports: [{ target: 6380, published: '16999', mode: host }]\n"),
        "the port 16999/tcp of web is held by the container holder on",
    );
    assert!(manager.docker(&["rm", "-fv", "holder"]).0);
    project.run(&["run", "web", "true"]).exits(8).says("a one-off container");

    project.write(PLAIN);
    project.run(&["down", "--volumes"]).exits(0).says("3 generations removed");
    assert_eq!(left(&manager, &name), Vec::<String>::new());
    assert_eq!(manager.lines(&["config", "ls", "-q"]), Vec::<String>::new());
}

#[test]
fn what_docker_stack_has_made_is_taken_over_without_replacing_a_task() {
    let manager = Manager::new();
    manager.load("redis:latest");
    let id = manager.docker(&["image", "inspect", "-f", "{{.Id}}", "redis:latest"]).1.trim().to_owned();
    let text = format!(
        "
version: '3.8'
x-stackctl: {{ engine: swarm }}
services:
  web:
    image: '{id}'
    command: [redis-server, --port, '6380']
    environment: {{ LEVEL: info, OTHER: 'yes' }}
    healthcheck: {{ test: [CMD, redis-cli, -p, '6380', ping], interval: 1s }}
    stop_grace_period: 1s
    volumes: ['data:/data']
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      resources: {{ limits: {{ memory: 64M }} }}
      placement: {{ constraints: [node.role==manager] }}
volumes: {{ data: {{}} }}
"
    );
    let mut project = Project::new(&text);
    project.env("DOCKER_HOST", manager.host());
    let name = project.name.clone();
    let file = project.file.display().to_string();
    let made = manager.docker(&["stack", "deploy", "--resolve-image", "never", "-c", &file, &name]);
    assert!(made.0, "{}", made.1);
    let tasks = || {
        manager.lines(&["service", "ps", "-q", "--filter", "desired-state=running", &format!("{name}_web")])
    };
    let before = crate::support::eventually("the tasks of docker stack", PATIENCE, || {
        let running = manager.lines(&["service", "ls", "--format", "{{.Replicas}}"]);
        (running == ["2/2"]).then(tasks)
    });
    let plan = project.run(&["plan"]).exits(2);
    assert!(plan.out.contains("made by another program"), "{}", plan.out);
    project.run(&["up", "--wait"]).exits(0);
    assert_eq!(tasks(), before);
    project.run(&["plan"]).exits(0);
    // What its file says otherwise now replaces them.
    project.write(&text.replace("LEVEL: info", "LEVEL: debug"));
    project.run(&["up", "--wait"]).exits(0);
    assert!(tasks().iter().all(|task| !before.contains(task)));
    project.run(&["down", "--volumes"]).exits(0);
    assert_eq!(left(&manager, &name), Vec::<String>::new());
}
