use super::*;

/// Two images: the slow one is what the end depended on, through the container that waited for it.
const RUN: &str = r#"{"schema":1,"at":"2026-01-02T03:04:00Z","event":"run","command":"up","project":"demo","version":"1"}
{"schema":1,"at":"2026-01-02T03:04:00Z","event":"plan","plan":{"project":"demo","steps":[{"id":1,"address":"image:fast","action":"pull","after":[]},{"id":2,"address":"image:slow","action":"build","after":[]}]}}
{"schema":1,"at":"2026-01-02T03:04:00Z","event":"started","text":"pulling","step":1,"address":"image:fast","action":"pull"}
{"schema":1,"at":"2026-01-02T03:04:00Z","event":"started","text":"building","step":2,"address":"image:slow","action":"build"}
{"schema":1,"at":"2026-01-02T03:04:02Z","event":"done","text":"pulled","milliseconds":2000,"step":1,"address":"image:fast","action":"pull"}
{"schema":1,"at":"2026-01-02T03:04:08Z","event":"done","text":"built","milliseconds":8000,"step":2,"address":"image:slow","action":"build"}
{"schema":1,"at":"2026-01-02T03:04:08Z","event":"plan","plan":{"project":"demo","steps":[{"id":1,"address":"db/1","action":"create","after":[]},{"id":2,"address":"app/1","action":"create","after":[]},{"id":3,"address":"app/1","action":"start","after":[1,2]},{"id":4,"address":"late/1","action":"create","after":[3]}]}}
{"schema":1,"at":"2026-01-02T03:04:08Z","event":"started","text":"creating","step":1,"address":"db/1","action":"create"}
{"schema":1,"at":"2026-01-02T03:04:08Z","event":"started","text":"creating","step":2,"address":"app/1","action":"create"}
{"schema":1,"at":"2026-01-02T03:04:09Z","event":"done","text":"created","milliseconds":1000,"step":2,"address":"app/1","action":"create"}
{"schema":1,"at":"2026-01-02T03:04:12Z","event":"done","text":"created","milliseconds":4000,"step":1,"address":"db/1","action":"create"}
{"schema":1,"at":"2026-01-02T03:04:12Z","event":"started","text":"starting","step":3,"address":"app/1","action":"start"}
{"schema":1,"at":"2026-01-02T03:04:16Z","event":"failed","tolerated":false,"what":"cannot be started","error":"<no> & no","step":3,"address":"app/1","action":"start"}
{"schema":1,"at":"2026-01-02T03:04:16Z","event":"skipped","because":3,"step":4,"address":"late/1","action":"create"}
"#;

fn timeline() -> Timeline {
    let lines = crate::record::lines(crate::record::read(RUN).expect("a run"));
    Timeline::of(&lines).expect("steps")
}

#[test]
fn the_critical_path_goes_back_from_the_last_end_through_what_ended_last() {
    let timeline = timeline();
    let path: Vec<_> = timeline.critical().map(|bar| (bar.address.as_str(), bar.action.as_str())).collect();
    assert_eq!(path, [("image:slow", "build"), ("db/1", "create"), ("app/1", "start")]);
    assert_eq!(timeline.took, Duration::from_secs(16));
    let rows = timeline.by_address();
    assert_eq!(timeline.waited(&rows["app/1"]), Some(("image:slow", Duration::from_secs(8))));
}

#[test]
fn the_text_shows_bars_waits_and_what_was_not_begun() {
    let text = anstream::adapter::strip_str(&timeline().text(80)).to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "demo up: 16 s, 5 steps, 2026-01-02 03:04:00 UTC");
    let row = |name: &str| lines.iter().find(|line| line.starts_with(name)).expect("a row").to_string();
    assert!(row("image:fast").contains("▏▒▒▒▒▒"), "{text}");
    assert!(row("image:slow").contains("▏█████████████████"), "{text}");
    assert!(row("app/1").contains("failed, waited 8.0 s for image:slow"), "{text}");
    assert!(text.contains("not begun: late/1"), "{text}");
    assert!(text.contains("4.0 s  db/1  created"), "{text}");
    assert!(text.contains("without these 3 of 5"), "{text}");
}

#[test]
fn pictures_are_whole_and_carry_nothing_that_a_browser_would_run() {
    let page = html(&timeline());
    assert!(page.contains("<svg ") && page.contains("</svg>") && page.ends_with("</html>\n"));
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href="));
    assert_eq!(page.matches("<rect class=\"critical\"").count(), 2);
    assert_eq!(page.matches("<rect class=\"failed\"").count(), 1);
    assert_eq!(escaped_name("<no>"), "&lt;no&gt;");
}

fn escaped_name(text: &str) -> String {
    crate::render::junit::escaped(text)
}

#[test]
fn a_report_for_ci_has_a_case_per_resource() {
    let lines = crate::record::lines(crate::record::read(RUN).expect("a run"));
    let report = crate::render::junit::report("demo", &lines);
    assert!(
        report.contains("tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"16.000\""),
        "{report}"
    );
    assert!(report.contains("name=\"image:slow\" time=\"8.000\"/>"), "{report}");
    assert!(report.contains("message=\"app/1 cannot be started: &lt;no&gt; &amp; no\""), "{report}");
    assert!(report.contains("name=\"late/1\" time=\"0.000\">\n      <skipped"), "{report}");
}

#[test]
fn a_run_without_steps_has_no_waterfall() {
    let lines =
        crate::record::lines(crate::record::read(&RUN[..RUN.find('\n').unwrap_or(0)]).expect("a run"));
    assert!(Timeline::of(&lines).is_none());
}
