//! Plans that are shown, written down, applied, and not carried out.

use crate::scenarios::SLEEPER;
use crate::support::Project;

#[test]
fn a_written_plan_must_be_done_as_it_is_and_only_once() {
    let project = Project::new(&format!("services:\n  one:\n    {SLEEPER}\n  two:\n    {SLEEPER}\n"));
    let file = project.directory.path().join("the plan.json");
    let path = file.to_str().expect("a path");
    let plan = project.run(&["plan", "--wait", "--out", path]).exits(2);
    plan.shows("Apply with: stackctl apply '").shows("the plan.json'");
    assert!(project.observe().containers.is_empty(), "plan changes nothing");
    let text = std::fs::read_to_string(&file).expect("it was written");
    assert!(!text.contains("redis:latest"), "no settings are written down: {text}");

    // Apply stands in another directory, and is told nothing of the project.
    let apply = || project.elsewhere(&["apply", path]);
    apply().exits(0).says("one/1  ready").says("two/1  ready");
    assert_eq!(project.observe().containers.len(), 2);
    apply().exits(6).says("nothing was done").says("in the file:  one/1, create, missing");
    project.run(&["plan"]).exits(0).shows("nothing to change");
}

#[test]
fn a_written_plan_must_not_be_done_when_the_file_or_the_world_has_moved() {
    let stack = |level: &str, more: &str| {
        format!("services:\n  one:\n    {SLEEPER}\n    environment: {{ LEVEL: {level} }}\n{more}")
    };
    let project = Project::new(&stack("info", ""));
    let file = project.directory.path().join("plan.json");
    let path = file.to_str().expect("a path");
    project.run(&["plan", "--out", path]).exits(2);
    project.write(&stack("debug", ""));
    project.elsewhere(&["apply", path]).exits(6).says("needed now:   one/1, create, missing");
    assert!(project.observe().containers.is_empty());

    // A comment is no change.
    project.write(&format!("# as it was\n{}", stack("info", "")));
    project.elsewhere(&["apply", path]).exits(0);
    project.write(&stack("info", &format!("  two:\n    {SLEEPER}\n")));
    project.run(&["plan", "--out", path]).exits(2);
    project.run(&["down"]).exits(0);
    project.elsewhere(&["apply", path]).exits(6).says("needed now:   one/1, create, missing");
    project.elsewhere(&["-p", "other", "apply", path]).exits(64).says("apply takes no -p");
    std::fs::write(&file, "{}").expect("written");
    project.elsewhere(&["apply", path]).exits(64).says("holds no plan");
}

#[test]
fn a_dry_run_must_show_the_plan_and_touch_nothing() {
    let project = Project::new(&format!("services:\n  one:\n    {SLEEPER}\n"));
    project.run(&["up", "--dry-run"]).exits(0).shows("+ one/1").shows("this was a dry run");
    assert!(project.observe().networks.is_empty() && project.observe().containers.is_empty());
    project.run(&["up", "-d"]).exits(0);
    let before = project.ids();
    project.run(&["down", "-v", "--dry-run"]).exits(0).shows("- one/1").shows("stop, remove");
    project.run(&["--dry-run", "up", "-d", "--force-recreate"]).exits(0).shows("± one/1");
    let json = project.run(&["--json", "up", "--dry-run", "--force-recreate"]).exits(0).json();
    assert_eq!(
        (json[0]["schema"].as_u64(), json[0]["steps"][0]["change"].as_str()),
        (Some(1), Some("replace"))
    );
    assert_eq!(before, project.ids());
}

#[test]
fn a_plan_must_name_the_command_that_does_it_and_every_step() {
    let project = Project::new(&format!(
        "services:\n  app:\n    {SLEEPER}\n    depends_on: [db]\n  db:\n    {SLEEPER}\n"
    ));
    project.run(&["plan", "--scale", "app=2", "app"]).exits(2).shows("up --scale app=2 app\n");
    project
        .run(&["plan", "--steps"])
        .exits(2)
        .shows("[1] -> #2 db/1, create, missing\n")
        .shows("[2] -> #3 db/1, start");
    project.run(&["up", "-d"]).exits(0);
    project
        .run(&["plan", "app", "--always-recreate-deps"])
        .exits(2)
        .shows("± db/1")
        .shows("app/1  unchanged");
    project.run(&["plan", "--no-recreate", "--always-recreate-deps"]).exits(64);
}

#[test]
fn names_must_be_those_of_the_first_docker_compose_when_that_is_asked_for() {
    let project = Project::new(&format!("services:\n  one:\n    {SLEEPER}\n"));
    project.run(&["--compatibility", "up", "-d"]).exits(0);
    assert_eq!(project.observe().containers[0].name, format!("{}_one_1", project.name));
    project.run(&["--compatibility", "plan"]).exits(0);
    project.run(&["--compatibility", "up", "-d", "--force-recreate"]).exits(0);
    assert_eq!(project.observe().containers[0].name, format!("{}_one_1", project.name));
}
