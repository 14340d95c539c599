//! stackctl that is killed in the middle of its work, on the real engine.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Project;
use stack_plan::observed::{ContainerState, ObservedMount};

/// How often stackctl is killed. `STACKCTL_SEED` makes the moments of a failure come again.
const MOMENTS: u32 = 30;

/// Three services that need each other and a volume without a name; `level` changes two of them.
pub(crate) fn stack(level: u32) -> String {
    let service =
        "image: redis:latest\n    command: [sleep, '600']\n    init: true\n    stop_grace_period: 0s";
    format!(
        "services:\n  a:\n    {service}\n    environment: {{ LEVEL: '{level}' }}\n    volumes: [/kept]\n    networks: [front, back]\n  b:\n    {service}\n    depends_on: {{ a: {{ condition: service_started, restart: true }} }}\n  c:\n    {service}\n    environment: {{ LEVEL: '{level}' }}\n    deploy: {{ replicas: 2 }}\n    depends_on: [b]\nnetworks: {{ front: {{}}, back: {{}} }}\n"
    )
}

/// The same numbers for the same seed, between 0 and 1.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Another one for each run, unless a failed one is to be made again.
pub(crate) fn seed() -> u64 {
    match std::env::var("STACKCTL_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}

/// What is there, without ids: names, states, settings, networks and volumes.
fn standing(project: &Project) -> Vec<String> {
    let observed = project.observe();
    let networks = observed.networks.iter().map(|network| format!("network {}", network.name));
    let containers = observed.containers.iter().map(|found| {
        assert_eq!(found.state, ContainerState::Running, "{}", found.name);
        let networks: Vec<_> = found.networks.keys().collect();
        // The engine tells them in any order.
        let volumes: BTreeSet<_> = found.volumes.iter().map(|mount| &mount.target).collect();
        format!("{} {networks:?} {volumes:?} {}", found.name, found.config_hash)
    });
    containers.chain(networks).collect()
}

/// What the engine has of each container's state, for a failure's message.
fn states(project: &Project) -> String {
    let ids = project.ids();
    let inspect = ["inspect", "--format", "{{.Name}} {{json .State}}"];
    let inspect = Command::new("docker")
        .args(inspect)
        .args(ids.iter().map(|(_, id)| id))
        .output()
        .expect("docker runs");
    String::from_utf8_lossy(&inspect.stdout).into_owned()
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed of a run that fails makes it again")]
fn killed_at_any_moment_up_must_reach_the_same_end() {
    let seed = seed();
    eprintln!("STACKCTL_SEED={seed}");
    let mut chance = Chance(seed);
    let project = Project::new(&stack(0));
    project.run(&["up", "-d"]).exits(0);
    let volume = |project: &Project| {
        let observed = project.observe();
        let a = observed.containers.iter().find(|found| found.service == "a").expect("it is there");
        a.volumes.iter().find(|mount| mount.target == "/kept").expect("a volume").name.clone()
    };
    let kept = volume(&project);
    project.write(&stack(1));
    let begun = Instant::now();
    project.run(&["up", "-d"]).exits(0);
    let whole = begun.elapsed();
    for round in 2..MOMENTS + 2 {
        project.write(&stack(round));
        let moment: Duration = whole.mul_f64(chance.next());
        let mut killed = project
            .command(&["up", "-d"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(moment);
        // It may have come to its end before.
        let _: std::io::Result<()> = killed.kill();
        killed.wait().expect("an end");
        let up = project.run(&["up", "-d"]);
        assert_eq!(up.code, 0, "round {round}, killed after {moment:?}, seed {seed}\n{}", up.err);
        let names: Vec<_> = project.observe().containers.into_iter().map(|found| found.name).collect();
        let meant = ["a-1", "b-1", "c-1", "c-2"].map(|name| format!("{}-{name}", project.name));
        assert_eq!(names, meant, "round {round}, killed after {moment:?}, seed {seed}");
        assert_eq!(volume(&project), kept, "round {round}, killed after {moment:?}, seed {seed}");
        let plan = project.run(&["plan"]);
        assert_eq!(
            plan.code,
            0,
            "round {round}, killed after {moment:?}, seed {seed}\n{}\n{}\n{}",
            plan.out,
            up.err,
            states(&project)
        );
    }
    let there = standing(&project);
    let fresh = Project::new(&stack(MOMENTS + 1));
    fresh.run(&["up", "-d"]).exits(0);
    let same = |name: &String| name.replace(&fresh.name, &project.name);
    // Paths are in no setting of this stack: its hash is the same elsewhere.
    let wanted: Vec<_> = standing(&fresh).iter().map(same).collect();
    let without_hash = |lines: &[String]| {
        lines
            .iter()
            .map(|line| line.rsplit_once(' ').map_or("", |(start, _)| start).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(without_hash(&there), without_hash(&wanted));
}

#[test]
fn a_start_that_fails_must_leave_what_was_there_and_the_next_up_must_finish() {
    let file = |entrypoint: &str| {
        format!(
            "services:\n  web:\n    image: redis:latest\n    stop_grace_period: 0s\n    entrypoint: [{entrypoint}]\n    volumes: [/kept]\n"
        )
    };
    let project = Project::new(&file("sleep, '600'"));
    project.run(&["up", "-d"]).exits(0);
    let volume = project.observe().containers[0].volumes.clone();
    project.write(&file("/no/such/program"));
    project.run(&["up", "-d"]).exits(1).says("web/1 cannot be started");
    project.write(&file("sleep, '601'"));
    project.run(&["up", "-d"]).exits(0);
    let observed = project.observe();
    assert_eq!(observed.containers.len(), 1);
    let web = &observed.containers[0];
    assert_eq!((web.name.clone(), web.state), (format!("{}-web-1", project.name), ContainerState::Running));
    // The engine lists them in no order.
    let names = |mounts: &[ObservedMount]| -> BTreeSet<String> {
        mounts.iter().map(|mount| mount.name.clone()).collect()
    };
    assert_eq!(names(&web.volumes), names(&volume));
}
