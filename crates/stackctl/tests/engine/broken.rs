//! Broken stacks: each with what the answer must hold, in plain lines and in JSON, at 80 columns.

mod cases;
mod judged;

use std::sync::Mutex;

use serde_json::Value;

use crate::support::{Outcome, Project};

/// A stack that cannot come up.
struct Broken {
    name: &'static str,
    yaml: &'static str,
    /// Files beside the stack file: name, text, and whether it may be executed.
    files: &'static [(&'static str, &'static str, bool)],
    arguments: &'static [&'static str],
    code: i32,
    /// What a person needs: the cause with its evidence, who is affected, the line, what to do next.
    holds: &'static [&'static str],
}

const fn broken(name: &'static str, yaml: &'static str, holds: &'static [&'static str]) -> Broken {
    Broken { name, yaml, files: &[], arguments: &["up", "--wait"], code: 1, holds }
}

/// How many stacks are up at once: the engine makes and starts few at a time anyway.
const AT_ONCE: usize = 6;

/// The forms in which a failure is told.
const FORMS: [&str; 3] = ["plain", "json", "tty"];

/// Brings each up in every form, and fails with all that is missing in the answers.
fn all_say(cases: &[Broken]) {
    let jobs: Mutex<Vec<(&Broken, &str)>> =
        Mutex::new(cases.iter().flat_map(|case| FORMS.map(|form| (case, form))).collect());
    let missing = Mutex::new(Vec::new());
    let next = || jobs.lock().expect("a lock").pop();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((case, form)) = next() {
                    missing.lock().expect("a lock").extend(lacks(case, form));
                }
            });
        }
    });
    let missing = missing.into_inner().expect("a lock");
    assert!(missing.is_empty(), "{}", missing.join("\n\n"));
}

/// A project with the files of a case; those that are there at once have another number each.
fn project_of(case: &Broken, number: u32) -> Project {
    let own = format!("{}.{}/26", own_range(), 64 * number);
    let mut project = Project::new(&case.yaml.replace("OWN.128/25", &own));
    for (name, text, executable) in case.files {
        let path = project.directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        if *executable {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).expect("a mode");
        }
    }
    project.env("COLUMNS", 80);
    project
}

/// What the answer to a case lacks.
fn lacks(case: &Broken, form: &str) -> Option<String> {
    // All forms of a case may run at once.
    let number = FORMS.iter().position(|known| *known == form).unwrap_or_default() + 1;
    let mut project = project_of(case, u32::try_from(number).unwrap_or_default());
    project.env("COMPOSE_PROGRESS", form);
    let outcome = project.run(case.arguments);
    let answer = match form {
        "json" => from_json(&outcome),
        "tty" => without_orders(&outcome.err),
        _ => outcome.err.clone(),
    };
    let answer = one_line(&answer);
    let mut lacks: Vec<String> = (case.holds.iter())
        .filter(|text| !answer.contains(&one_line(text)))
        .map(|text| format!("{text:?} is missing"))
        .collect();
    if outcome.code != case.code {
        lacks.push(format!("exit code {} instead of {}", outcome.code, case.code));
    }
    if answer.contains('\x1b') || (form != "tty" && outcome.err.contains('\x1b')) {
        lacks.push("an escape sequence reaches the terminal".to_owned());
    }
    if form == "json" {
        lacks.extend(incomplete(&outcome));
    }
    if form == "plain" {
        lacks.extend(
            outcome.err.lines().filter(|line| is_too_wide(line)).map(|line| format!("too wide: {line}")),
        );
    }
    (!lacks.is_empty()).then(|| format!("{} ({form}): {}\n{}", case.name, lacks.join("\n  "), outcome.err))
}

/// What a terminal shows in the end: without the orders that draw live lines anew, and without
/// these. An order that stackctl has no use for stays, and is found.
fn without_orders(text: &str) -> String {
    let mut text = text.replace('\r', "");
    while let Some(end) = text.find("\x1b[J") {
        // Before it stands how many lines are taken away.
        let start = text[..end].rfind("\x1b[").unwrap_or(end);
        let rows: usize = text[start + 2..end].trim_end_matches('A').parse().unwrap_or(0);
        let mut kept: Vec<&str> = text[..start].split_inclusive('\n').collect();
        kept.truncate(kept.len().saturating_sub(rows));
        text = format!("{}{}", kept.concat(), &text[end + 3..]);
    }
    text.replace("\x1b[K", "")
}

/// The failures that do not say all that a person needs: which resource, the cause, the line and
/// what to do next. Who waits, only some have.
fn incomplete(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.err.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines
        .filter(|event| event["event"] == "failed")
        .flat_map(|event| {
            let empty = |key: &str| match &event[key] {
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                other => other.is_null(),
            };
            let keys = ["address", "what", "kind", "error", "next", "declared"].into_iter();
            keys.filter(|key| empty(key)).map(|key| format!("a failure has no {key}")).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a row of a failure is wider than the screen, though it could be broken.
fn is_too_wide(line: &str) -> bool {
    let is_row = line.starts_with("    ") || line.starts_with('✗');
    is_row && line.chars().count() > 80 && line.trim().chars().skip(40).any(|character| character == ' ')
}

/// The texts of all that failed, as a program reads them.
fn from_json(outcome: &Outcome) -> String {
    let mut texts = String::new();
    for line in outcome.err.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert_eq!(event["schema"], 1, "{line}");
        for key in ["text", "message", "hint", "help", "file", "line", "column"] {
            match &event[key] {
                Value::String(text) => texts.push_str(text),
                Value::Null => {}
                other => texts.push_str(&other.to_string()),
            }
            // A place is told as `file:line:column`.
            texts.push(if matches!(key, "file" | "line") { ':' } else { '\n' });
        }
    }
    texts
}

/// The text with every run of blanks as one: where lines break is another matter.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_ends_must_say_how_with_its_last_words() {
    all_say(&cases::ends());
}

#[test]
fn what_is_unhealthy_or_loops_or_takes_too_long_must_show_its_probes() {
    all_say(&cases::waits());
}

#[test]
fn what_cannot_be_started_must_say_so_in_our_words_with_the_engines_beneath() {
    all_say(&cases::starts());
}

#[test]
fn limits_that_cannot_be_kept_must_name_their_attribute() {
    all_say(&cases::limits());
}

#[test]
fn networks_volumes_and_images_that_cannot_be_made_must_say_why() {
    all_say(&cases::ground());
}

#[test]
fn what_others_have_must_name_them() {
    let net = own_range();
    let held = Project::new(&format!(
        "services:\n  web:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    command: [sleep, '600']\n    networks: {{ net: {{ ipv4_address: {net}.9 }} }}\nnetworks:\n  net: {{ ipam: {{ config: [{{ subnet: {net}.0/25 }}] }} }}\n"
    ));
    held.run(&["up", "-d"]).exits(0);
    let container = format!("{}-web-1", held.name);

    let mut name = Project::new(&format!(
        "services:\n  web:\n    image: redis:latest\n    container_name: {container}\n"
    ));
    name.env("COLUMNS", 200);
    name.run(&["up", "-d"])
        .exits(1)
        .says(&format!("the container name {container} is taken by the container"))
        .says(&format!("(running) of the service web in the project {}", held.name))
        .says(&format!("docker rm -f {container}"))
        .says("stack.yaml:4:21");

    let subnet = Project::new(&format!(
        "services:\n  web:\n    image: redis:latest\n    networks: [net]\nnetworks:\n  net: {{ ipam: {{ config: [{{ subnet: {net}.64/26 }}] }} }}\n"
    ));
    subnet
        .run(&["up", "-d"])
        .exits(1)
        .says(&format!(
            "the subnet {net}.64/26 overlaps with {net}.0/25, which is taken by {}_net",
            held.name
        ))
        .says("web waits for it")
        .says(&format!("docker network rm {}_net", held.name))
        .says("stack.yaml:6:");

    let address = Project::new(&format!(
        "services:\n  web:\n    image: redis:latest\n    networks: {{ net: {{ ipv4_address: {net}.9 }} }}\nnetworks:\n  net: {{ external: true, name: {}_net }}\n",
        held.name
    ));
    address
        .run(&["up", "-d"])
        .exits(1)
        .says(&format!("the address {net}.9 is taken by {container}"))
        .says("stack.yaml:4:15");
}

/// The first three numbers of addresses that no other run of these tests uses.
fn own_range() -> String {
    let id = std::process::id();
    format!("10.{}.{}", 208 + id / 250 % 40, id % 250)
}

#[test]
fn github_actions_must_get_groups_and_annotations_on_the_line() {
    let mut project = Project::new("services:\n  web:\n    image: redis:latest\n    entrypoint: [nosuch]\n");
    project.env("GITHUB_ACTIONS", "true");
    let up = project.run(&["up", "-d"]).exits(1).says("::group::stackctl: ").says("\n::endgroup::\n");
    let up = up.says("::error title=web/1 cannot be started,file=");
    up.says("line=4,col=17::web/1 cannot be started: the image has no program nosuch%0Anext: ");
}
