//! Other calls, and what the engine answers.

use axum::http::StatusCode;
use stack_engine::engine::{Engine, EngineError, Ledger, Work};
use stack_plan::containers::{self, Policy};
use stack_plan::observed::Observed;
use stack_plan::plan::{Action, Condition, Target};

use crate::recorder::Recorder;
use crate::stacks::desired;

#[tokio::test]
async fn stops_and_removals_say_what_was_asked() {
    let recorder = Recorder::start("1.41", None);
    let engine = recorder.engine().await;
    let target = Target::Known("abc".to_owned());
    for action in [
        Action::Stop { target: target.clone(), grace: Some(std::time::Duration::from_millis(1500)) },
        Action::RemoveContainer { target, volumes: true },
        Action::RemoveNetwork("n".to_owned()),
        Action::RemoveVolume("v".to_owned()),
        Action::RemoveImage("shop-web:latest".to_owned()),
    ] {
        let work = Work { action: &action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
        // The answer of the last one is no list; only what was asked is looked at here.
        let _ = engine.perform(work).await;
    }
    let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
    for (line, begin) in lines.iter().zip([
        "POST /v1.41/containers/abc/stop?t=2",
        "DELETE /v1.41/containers/abc?",
        "DELETE /v1.41/networks/n",
        "DELETE /v1.41/volumes/v",
        "DELETE /v1.41/images/shop-web",
    ]) {
        assert!(line.starts_with(begin), "{line} instead of {begin}");
    }
    assert!(lines[1].contains("v=true"), "{}", lines[1]);
}

#[tokio::test]
async fn signals_and_freezes_say_what_was_asked_on_every_api() {
    for api in ["1.41", "1.51"] {
        let recorder = Recorder::start(api, None);
        let engine = recorder.engine().await;
        let target = Target::Known("abc".to_owned());
        for action in [
            Action::Kill { target: target.clone(), signal: "HUP".to_owned() },
            Action::Pause(target.clone()),
            Action::Unpause(target.clone()),
            Action::Stop { target: target.clone(), grace: None },
            Action::Await { target, condition: Condition::Ended, required: true },
        ] {
            let work = Work { action: &action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
            // The answer to the wait is no exit code; only what was asked is looked at here.
            let _ = engine.perform(work).await;
        }
        let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
        let begin = format!("POST /v{api}/containers/abc");
        let asked: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(&begin)).collect();
        assert_eq!(asked[..3], ["/kill?signal=HUP", "/pause", "/unpause"]);
        assert!(asked[3].starts_with("/stop") && !asked[3].contains("t="), "{}", asked[3]);
        assert!(asked[4].starts_with("/wait"), "{}", asked[4]);
    }
}

#[tokio::test]
async fn what_has_ended_by_itself_needs_no_signal_and_no_freeze() {
    let recorder = Recorder::start("1.41", Some((StatusCode::CONFLICT, "Container abc is not running")));
    let engine = recorder.engine().await;
    let target = Target::Known("abc".to_owned());
    for (action, fine) in [
        (Action::Kill { target: target.clone(), signal: "KILL".to_owned() }, true),
        (Action::Pause(target.clone()), true),
        (Action::Unpause(target), false),
    ] {
        let work = Work { action: &action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
        assert_eq!(engine.perform(work).await.is_ok(), fine, "{action:?}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_the_words_of_the_engine() {
    let recorder = Recorder::start("1.41", Some((StatusCode::CONFLICT, "the name is taken")));
    let engine = recorder.engine().await;
    let desired = desired("services: { web: { image: web } }");
    let plan = containers::plan(&desired, &Observed::default(), &Policy::default());
    let step =
        plan.steps.iter().find(|step| matches!(step.action, Action::CreateNetwork(_))).expect("a step");
    let work = Work { action: &step.action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
    let failure = engine.perform(work).await.expect_err("it refuses");
    match failure.error {
        EngineError::Refused { status, message } => {
            assert_eq!((status, message.as_str()), (409, "the name is taken"));
        }
        other => panic!("{other:?}"),
    }
}
