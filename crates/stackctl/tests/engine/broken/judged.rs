//! The answers to the broken stacks, judged: how much of what a person needs each holds, and docker
//! compose's beside them. `cargo xtask answers` runs it and shows the table.
//!
//! The parts are: which resource it is, the cause with its evidence, who is affected, the line of
//! the file, and what to do next. What the evidence is, the engine tells: the last words on standard
//! error, the output of the probe, the exit code, or the engine's own refusal. The judge looks for
//! the same texts in both answers.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;

use super::{AT_ONCE, Broken, cases, one_line, project_of};
use crate::support::{Outcome, Project};

/// How long docker compose may take: it waits for what loops as long as it loops.
const PATIENCE: &str = "90";
/// The parts of an answer, in the order of the table.
const PARTS: [&str; 5] = ["which", "cause", "affected", "line", "next"];

/// Which parts an answer holds; `None` for one that the case does not have.
type Parts = [Option<bool>; 5];

/// A case, and what both said to it.
struct Row {
    index: usize,
    ours: Parts,
    theirs: Parts,
}

/// What a good answer to one case says.
struct Facts {
    /// The name of a service, network, volume or image.
    name: String,
    /// Any of these texts is the cause with its evidence.
    causes: Vec<String>,
    /// The services that wait for it.
    waiting: Vec<String>,
}

/// What the engine says of the first failure of a run that was told as JSON.
fn facts(told: &str) -> Option<Facts> {
    let lines = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events: Vec<Value> = lines.collect();
    let Some(failed) = events.iter().find(|event| event["event"] == "failed" && event["tolerated"] == false)
    else {
        // Refused before anything was done: the finding names what is missing.
        let found = events.iter().find(|event| event["event"] == "diagnostic")?;
        let name = found["message"].as_str()?.rsplit(' ').next()?.to_owned();
        return Some(Facts { causes: vec![name.clone()], name, waiting: Vec::new() });
    };
    let address = failed["address"].as_str()?;
    let name = address.split_once(':').map_or(address, |(_, name)| name);
    let name = name
        .rsplit_once('/')
        .filter(|(_, number)| number.parse::<u32>().is_ok())
        .map_or(name, |(name, _)| name);
    let evidence = &failed["evidence"];
    let mut causes: Vec<String> = failed["engine"].as_str().map(core).into_iter().collect();
    if let Some(code) = evidence["exit_code"].as_i64() {
        causes.extend(
            ["exit code ", "exited (", "exit status "].iter().map(|before| format!("{before}{code}")),
        );
    }
    let last = |list: &Value, key: &str| -> Option<String> {
        let text = list.as_array()?.last()?[key].as_str()?;
        Some(text.lines().last()?.trim().to_owned()).filter(|text| text.len() > 3)
    };
    causes.extend(last(&evidence["probes"], "output"));
    let said = evidence["log"].as_array().map(Vec::as_slice).unwrap_or_default();
    let stderr = said.iter().rev().find(|said| said["channel"] == "stderr");
    causes.extend(stderr.and_then(|said| Some(said["text"].as_str()?.trim().to_owned())));
    if causes.is_empty() {
        causes.extend(
            failed["rows"].as_array().into_iter().flatten().filter_map(|row| {
                row["text"].as_str().and_then(|text| text.lines().last()).map(str::to_owned)
            }),
        );
        causes.extend(failed["error"].as_str().map(str::to_owned));
    }
    let waiting = failed["waiting"].as_array().into_iter().flatten();
    let waiting = waiting.filter_map(Value::as_str).map(str::to_owned).collect();
    Some(Facts { name: name.to_owned(), causes, waiting })
}

/// The end of an engine's words, where the cause stands.
fn core(words: &str) -> String {
    let words = one_line(words);
    let words = words.trim_end_matches(": unknown");
    let last: Vec<&str> = words.rsplit(": ").take(2).collect();
    last.into_iter().rev().collect::<Vec<_>>().join(": ")
}

/// A text without the names that each project has for itself.
fn anonymous(text: &str, project: &Project) -> String {
    let directory = project.directory.path().to_string_lossy();
    text.replace(&*directory, "/DIRECTORY").replace(&project.name, "PROJECT")
}

/// What stackctl says to a case in a form.
fn ours(case: &Broken, number: u32, form: &str) -> String {
    let mut project = project_of(case, number);
    project.env("COMPOSE_PROGRESS", form);
    anonymous(&project.run(case.arguments).err, &project)
}

/// Looks for the parts in an answer.
fn judge(facts: &Facts, answer: &str) -> Parts {
    let whole = one_line(answer);
    let says = |words: &[&str]| words.iter().any(|word| whole.contains(word));
    let affected = |name: &String| {
        let words = ["wait", "depend", "not brought up", "needs"];
        // A line of progress names everybody.
        let told = answer.lines().filter(|line| !line.trim_start().starts_with("Container "));
        told.into_iter()
            .any(|line| line.contains(name.as_str()) && words.iter().any(|word| line.contains(word)))
            || whole.contains(&format!("{name} waits for it"))
    };
    let digit_after = |text: &str| {
        whole
            .match_indices(text)
            .any(|(at, _)| whole[at + text.len()..].starts_with(|character: char| character.is_ascii_digit()))
    };
    [
        Some(whole.contains(&facts.name)),
        Some(facts.causes.iter().any(|cause| whole.contains(&one_line(cause)))),
        (!facts.waiting.is_empty()).then(|| facts.waiting.iter().all(affected)),
        Some(digit_after("stack.yaml:") || digit_after("line ")),
        Some(says(&[
            " next ",
            "help:",
            "try ",
            "Try ",
            "please ",
            "Please ",
            "docker logs",
            "docker compose ",
            "run `",
            "you can",
            "consider",
            "use ",
            "remove ",
            "declare it",
        ])),
    ]
}

fn compose(case: &Broken, number: u32) -> String {
    let program = std::env::var("STACKCTL_COMPOSE")
        .expect("STACKCTL_COMPOSE names no docker compose: cargo xtask answers finds it");
    let project = project_of(case, number);
    let mut command = Command::new("timeout");
    command.args(["--signal", "INT", "--kill-after", "20", PATIENCE]).args(program.split(' '));
    command
        .arg("-f")
        .arg(&project.file)
        .args(["-p", &project.name, "--progress", "plain"])
        .args(case.arguments);
    let output = command.current_dir(project.directory.path()).output().expect("docker compose runs");
    let outcome = Outcome::of(output, case.arguments);
    anonymous(&format!("{}\n{}", outcome.out, outcome.err), &project)
}

#[test]
#[ignore = "a measurement that needs docker compose: cargo xtask answers"]
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn answers_must_hold_all_that_a_person_needs() {
    let all: Vec<Broken> = [cases::ends(), cases::waits(), cases::starts(), cases::limits(), cases::ground()]
        .into_iter()
        .flatten()
        .collect();
    let jobs: Mutex<Vec<usize>> = Mutex::new((0..all.len()).collect());
    let rows: Mutex<Vec<Row>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(index) = jobs.lock().expect("a lock").pop() else { break };
                    let case = &all[index];
                    let facts = facts(&ours(case, 2, "json")).expect("a failure");
                    let ours = judge(&facts, &ours(case, 3, "plain"));
                    let theirs = judge(&facts, &compose(case, 1));
                    rows.lock().expect("a lock").push(Row { index, ours, theirs });
                }
            });
        }
    });
    let mut rows = rows.into_inner().expect("a lock");
    rows.sort_by_key(|row| row.index);
    let signs = |parts: &Parts| -> String {
        parts
            .iter()
            .map(|part| match part {
                Some(true) => " ✓",
                Some(false) => " ✗",
                None => " -",
            })
            .collect()
    };
    let score = |which: fn(&Row) -> &Parts| {
        let parts = rows.iter().flat_map(|row| which(row).iter().flatten());
        let (held, all) = parts.fold((0, 0), |(held, all), part| (held + usize::from(*part), all + 1));
        format!("{held} of {all}, {} %", held * 100 / all.max(1))
    };
    let mut table = format!("{} broken stacks; parts: {}\n", all.len(), PARTS.join(", "));
    for Row { index, ours, theirs } in &rows {
        let _ = writeln!(
            table,
            "stackctl{}   docker compose{}   {}",
            signs(ours),
            signs(theirs),
            all[*index].name
        );
    }
    let _ = writeln!(table, "stackctl: {}", score(|row| &row.ours));
    let _ = writeln!(table, "docker compose: {}", score(|row| &row.theirs));
    println!("{table}");
    let lacking: Vec<&str> =
        (rows.iter()).filter(|row| row.ours.contains(&Some(false))).map(|row| all[row.index].name).collect();
    assert!(lacking.is_empty(), "answers lack a part: {}", lacking.join(", "));
}
