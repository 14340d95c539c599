//! Services that other programs make: asked in the order of what depends on what, and
//! their variables reach those that depend on them.

use std::collections::BTreeMap;

use crate::support::{assert_plan, desired, images_of, loaded, plan, up_as};
use stack_plan::containers::{self, Policy};
use stack_plan::desired::{Desired, Provided};
use stack_plan::teardown::{Teardown, teardown};

const CLOUD: &str = "
services:
  app: { image: app, depends_on: [cloud] }
  other: { image: other }
  cloud: { provider: { type: awesome, options: { size: 10 } }, depends_on: [base] }
  base: { image: base }
";

fn provided(value: &str) -> Desired {
    let mut provided = Provided::default();
    provided.note("cloud", vec![("CLOUD_URL".to_owned(), value.to_owned())]);
    assert!(!format!("{provided:?}").contains(value));
    Desired::with_provided(&loaded(CLOUD, &[]).stack, &BTreeMap::new(), &provided)
}

#[test]
fn a_program_is_asked_after_what_it_needs_and_before_what_needs_it() {
    let plan = plan(CLOUD, &images_of(CLOUD), &Policy::default());
    assert_plan(
        &plan,
        &[
            "[] -> #1 network:default, create, missing",
            "[1] -> #2 base/1, create, missing",
            "[2] -> #3 base/1, start, missing",
            "[1] -> #4 app/1, create, missing",
            "[3] -> #5 service:cloud, provide, asked for",
            "[4,5] -> #6 app/1, start, missing",
            "[1] -> #7 other/1, create, missing",
            "[7] -> #8 other/1, start, missing",
        ],
    );
    assert_eq!(plan.provided_services(), ["cloud"]);
    let first = Policy { services: plan.provided_services(), ..Policy::default() };
    let told = containers::plan(&desired(CLOUD), &images_of(CLOUD), &first).to_string();
    assert!(told.contains("base/1") && !told.contains("app/1") && !told.contains("other/1"), "{told}");
}

#[test]
fn what_a_program_says_is_part_of_what_depends_on_it() {
    let one = provided("planted-one");
    let spec = one.service("app").expect("it is there");
    assert_eq!(spec.service.environment["CLOUD_URL"].as_deref(), Some("planted-one"));
    assert!(one.service("other").expect("it is there").service.environment.is_empty());
    assert!(!format!("{:?}", spec.labels).contains("planted"), "{:?}", spec.labels);
    let asked = Policy { provided: true, ..Policy::default() };
    let there = up_as(&one);
    assert!(containers::plan(&one, &there, &asked).is_empty());
    let plan = containers::plan(&provided("planted-two"), &there, &asked);
    assert!(plan.to_string().contains("app/1, create, changed: environment.CLOUD_URL"), "{plan}");
    assert!(!plan.to_string().contains("other/1"), "{plan}");
}

#[test]
fn before_the_program_is_asked_nobody_knows_whether_its_variables_differ() {
    let there = up_as(&provided("planted-one"));
    let plan = plan(CLOUD, &there, &Policy::default());
    assert_plan(&plan, &["[] -> #1 service:cloud, provide, asked for"]);
    assert_eq!(plan.warnings, ["whether app is replaced is known after service:cloud is provided"]);
    assert!(!plan.changes_something());
}

#[test]
fn down_takes_down_what_programs_made_after_what_depends_on_it() {
    let one = provided("planted-one");
    let told = teardown("shop", Some(&one), &up_as(&one), &Teardown::default());
    let line = |text: &str| told.to_string().lines().position(|line| line.contains(text)).expect("a step");
    assert!(line("app/1, remove") < line("service:cloud, release"), "{told}");
    let stop = Teardown { stop_only: true, ..Teardown::default() };
    assert!(!teardown("shop", Some(&one), &up_as(&one), &stop).to_string().contains("service:cloud"));
}

#[test]
fn models_come_before_the_services_that_use_them_and_are_asked_for_once() {
    let text = "
services:
  app: { image: app, models: { llm: { endpoint_var: WHERE } } }
models: { llm: { model: ai/small } }
";
    let told = plan(text, &images_of(text), &Policy::default());
    assert_plan(
        &told,
        &[
            "[] -> #1 network:default, create, missing",
            "[] -> #2 model:llm, provide, asked for",
            "[1] -> #3 app/1, create, missing",
            "[2,3] -> #4 app/1, start, missing",
        ],
    );
    assert_eq!(told.model_steps().steps.len(), 1);
    let mut provided = Provided::default();
    provided.note("model:llm", vec![("endpoint".to_owned(), "http://here".to_owned())]);
    let known = Desired::with_provided(&loaded(text, &[]).stack, &BTreeMap::new(), &provided);
    let environment = &known.service("app").expect("it is there").service.environment;
    assert_eq!(environment["WHERE"].as_deref(), Some("http://here"));
    assert_eq!(environment["LLM_MODEL"].as_deref(), Some("ai/small"));
    let asked = Policy { provided: true, ..Policy::default() };
    assert!(containers::plan(&known, &up_as(&known), &asked).is_empty());
    // Nobody has asked yet: what the container has of it is no difference.
    assert_plan(&plan(text, &up_as(&known), &Policy::default()), &["[] -> #1 model:llm, provide, asked for"]);
}
