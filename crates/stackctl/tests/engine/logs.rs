//! Logs on the real engine: their order, their completeness, and what is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{Project, eventually};

const PATIENCE: Duration = Duration::from_secs(60);

/// A service that runs a shell script to its end.
fn script(name: &str, script: &str) -> String {
    format!(
        "  {name}:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    entrypoint: [sh, -c]\n    command:\n      - |\n        {}\n",
        script.replace('\n', "\n        ")
    )
}

/// Brings the services up and waits for the end of all of them.
fn ended(services: &[String]) -> Project {
    let project = Project::new(&format!("services:\n{}", services.concat()));
    project.run(&["up", "-d"]).exits(0);
    eventually("all have ended", PATIENCE, || {
        project.observe().containers.iter().all(|found| !found.state.is_up()).then_some(())
    });
    project
}

#[test]
fn logs_of_several_containers_must_be_in_the_order_of_time() {
    // Each waits until the other has written, and gives the engine the time to take the line.
    let turns = |mine: &str, other: &str, step: u32| {
        format!(
            "for n in 1 2 3; do\n  until [ -e /shared/{mine}.$$n ]; do sleep 0.02; done\n  echo line $$n; sleep 0.3\n  touch /shared/{other}.$$(( n + {step} ))\ndone"
        )
    };
    let shared = "    volumes: [shared:/shared]\n";
    let services = [
        script("one", &format!("touch /shared/one.1\n{}", turns("one", "two", 0))) + shared,
        script("two", &turns("two", "one", 1)) + shared,
    ];
    let project = Project::new(&format!("services:\n{}volumes: {{ shared: {{}} }}\n", services.concat()));
    project.run(&["up", "-d"]).exits(0);
    eventually("both have ended", PATIENCE, || {
        project.observe().containers.iter().all(|found| !found.state.is_up()).then_some(())
    });
    let wanted = [1, 2, 3].map(|n| format!("one-1  | line {n}\ntwo-1  | line {n}\n")).concat();
    assert_eq!(project.run(&["logs"]).exits(0).out, wanted, "from the files, where they can be read");
    assert_eq!(project.run(&["logs", "-n", "100"]).exits(0).out, wanted, "from the engine");
    assert_eq!(project.run(&["logs", "-f"]).exits(0).out, wanted, "the old lines before those to come");
}

#[test]
fn a_log_must_be_the_same_from_its_file_and_from_the_engine() {
    let project = ended(&[
        script(
            "odd",
            "printf 'tab\\t \"quoted\" back\\\\slash <b>&amp; ünïcode 😀\\n'\nprintf '\\033[31mred\\033[0m\\r\\n'\necho\nhead -c 40000 /dev/zero | tr '\\0' x; echo\necho to stderr >&2\nprintf unfinished",
        ),
        script("other", "for n in 1 2 3; do echo $$n; done"),
    ]);
    for arguments in [vec!["logs", "odd"], vec!["logs", "-t", "odd"], vec!["logs", "-t"]] {
        let file = project.run(&arguments).exits(0);
        let engine = project.run(&[&arguments[..], &["-n", "100000"]].concat()).exits(0);
        assert_eq!((&file.out, &file.err), (&engine.out, &engine.err), "{arguments:?}");
    }
    let out = project.run(&["logs", "odd", "--no-log-prefix"]).exits(0).out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "tab\t \"quoted\" back\\slash <b>&amp; ünïcode 😀");
    assert_eq!(lines[1], "\u{1b}[31mred\u{1b}[0m", "what a container writes is passed on");
    assert_eq!((lines[2], lines[3].len(), lines[4]), ("", 40_000, "unfinished"));
}

#[test]
fn logs_must_be_narrowed_as_asked() {
    let project = Project::new(&format!(
        "services:\n{}{}",
        script("a", "for n in 1 2 3 4; do echo line $$n; done; sleep 0.3; echo fault 7 >&2; sleep 600")
            + "    scale: 2\n",
        script("b", "echo line of b; sleep 600")
    ));
    project.run(&["up", "-d"]).exits(0);
    eventually("all have said it", PATIENCE, || {
        let logs = project.run(&["logs"]).exits(0);
        (logs.out.lines().count() == 9 && logs.err.lines().count() == 2).then_some(())
    });
    let out = |arguments: &[&str]| {
        let out = project.run(arguments).exits(0).out;
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(out(&["logs", "a", "--index", "2"]), [1, 2, 3, 4].map(|n| format!("a-2  | line {n}")));
    assert_eq!(out(&["logs", "a", "--index", "1", "--grep", "[13]$"]), ["a-1  | line 1", "a-1  | line 3"]);
    assert_eq!(out(&["logs", "--grep", "^line of"]), ["b-1  | line of b"]);
    assert_eq!(
        out(&["logs", "a", "--index", "1", "-n", "2"]),
        ["a-1  | line 4"],
        "one of the two is an error"
    );
    project.run(&["logs", "a", "--index", "3"]).exits(1).says("a has no container 3; it has 2");

    let lines = project.run(&["logs", "--json", "a", "--index", "1"]).exits(0).json();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line["service"] == "a" && line["number"] == 1), "{lines:?}");
    let error = lines.iter().find(|line| line["stream"] == "stderr").expect("the fault");
    assert_eq!(error["text"], "fault 7");
    let time = error["time"].as_str().expect("a time");
    assert!(time.len() == 30 && time.ends_with('Z'), "{time}");
    // From the moment of a line on, and up to it, as the engine and the files tell times: to the nanosecond.
    let third = lines
        .iter()
        .find(|line| line["text"] == "line 3")
        .and_then(|line| line["time"].as_str())
        .expect("line 3");
    let from = out(&["logs", "a", "--index", "1", "--since", third]);
    assert_eq!(from, ["a-1  | line 3", "a-1  | line 4"]);
    let to = out(&["logs", "a", "--index", "1", "--until", third]);
    assert_eq!(to, ["a-1  | line 1", "a-1  | line 2", "a-1  | line 3"]);
}

#[test]
fn since_the_last_up_must_leave_out_former_runs() {
    let project = ended(&[script("job", "echo run $$(date +%s%N)")]);
    let first = project.run(&["logs", "--no-log-prefix"]).exits(0).out;
    project.run(&["up", "-d"]).exits(0);
    let all = eventually("the second line", PATIENCE, || {
        let all = project.run(&["logs", "--no-log-prefix"]).exits(0).out;
        (all.lines().count() == 2).then_some(all)
    });
    let last = project.run(&["logs", "--no-log-prefix", "--since", "last-up"]).exits(0).out;
    assert_eq!(format!("{first}{last}"), all);
}

#[test]
fn following_fifty_services_must_lose_no_line_and_keep_the_order_within_each() {
    const SERVICES: usize = 50;
    const LINES: usize = 400;
    let script_text = format!(
        "n=0\nwhile [ $$n -lt {LINES} ]; do\n  echo line $$n; n=$$(( n + 1 ))\n  [ $$(( n % 20 )) -ne 0 ] || sleep 0.1\ndone"
    );
    let services: String = (0..SERVICES).map(|index| script(&format!("s{index}"), &script_text)).collect();
    let project = Project::new(&format!("services:\n{services}"));
    project.run(&["up", "-d"]).exits(0);
    let logs = project.run(&["logs", "-f", "--no-color"]).exits(0);
    let mut said: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in logs.out.lines() {
        let (name, text) = line.split_once('|').expect("a prefix");
        said.entry(name.trim_end()).or_default().push(text.trim_start());
    }
    assert_eq!(said.len(), SERVICES);
    let wanted: Vec<String> = (0..LINES).map(|n| format!("line {n}")).collect();
    for (name, lines) in said {
        assert_eq!(lines, wanted, "{name}");
    }
}

#[test]
fn a_container_that_starts_again_must_be_followed_on() {
    let project = Project::new(&format!(
        "services:\n{}    restart: on-failure:2\n",
        script("job", "echo run; sleep 0.3; exit 1")
    ));
    project.run(&["up", "-d"]).exits(0);
    let logs = project.run(&["logs", "-f", "--no-log-prefix"]).exits(0);
    assert_eq!(logs.out, "run\nrun\nrun\n");
    logs.says("job-1 ended with exit code 1");
}
