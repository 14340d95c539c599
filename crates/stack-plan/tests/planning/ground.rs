//! Networks, volumes and images under containers, case by case.

use crate::support::{assert_plan, container, desired, images_of, plan, up};
use stack_file::model::PullPolicy;
use stack_plan::address::Address;
use stack_plan::api::Api;
use stack_plan::containers::{self, BuildPolicy, Policy, plan_images};
use stack_plan::observed::{ContainerState, Observed, ObservedVolume};
use stack_plan::plan::{Action, Plan, StepId};

fn default(text: &str, observed: &Observed) -> Plan {
    plan(text, observed, &Policy::default())
}

fn data(version: u8) -> String {
    format!(
        "
services:
  db: {{ image: db, volumes: ['data:/data'] }}
  web: {{ image: web }}
volumes:
  data: {{ labels: {{ version: '{version}' }} }}
"
    )
}

#[test]
fn a_changed_volume_is_made_anew_under_its_containers_and_loses_data() {
    let plan = default(&data(2), &up(&data(1)));
    assert_plan(
        &plan,
        &[
            "[] -> #1 db/1, stop, depends on volume:data, replaced",
            "[1] -> #2 db/1, remove, depends on volume:data, replaced",
            "[2] -> #3 volume:data, remove, changed: labels.version, loses data",
            "[3] -> #4 volume:data, create, changed: labels.version",
            "[2,4] -> #5 db/1, create, depends on volume:data, replaced",
            "[5] -> #6 db/1, start, depends on volume:data, replaced",
        ],
    );
    let lost: Vec<_> = plan.data_losses().into_iter().collect();
    assert_eq!(lost, [&Address::Volume("data".to_owned())]);
}

#[test]
fn an_interrupted_renewal_of_a_volume_goes_on() {
    let mut observed = up(&data(1));
    observed.containers.retain(|found| found.service != "db");
    observed.volumes.clear();
    assert_plan(
        &default(&data(2), &observed),
        &[
            "[] -> #1 volume:data, create, missing",
            "[1] -> #2 db/1, create, missing",
            "[2] -> #3 db/1, start, missing",
        ],
    );
}

const NET: &str = "
services:
  a: { image: a, networks: [front] }
  b: { image: b, networks: [front] }
networks:
  front: { internal: false }
";

#[test]
fn a_changed_network_is_made_anew_while_its_containers_are_stopped() {
    let now = NET.replace("false", "true");
    assert_plan(
        &plan(&now, &up(NET), &Policy { services: vec!["a".to_owned()], ..Policy::default() }),
        &[
            "[] -> #1 a/1, stop, depends on network:front, replaced",
            "[] -> #2 b/1, stop, depends on network:front, replaced",
            "[1,2] -> #3 network:front, remove, changed: internal",
            "[3] -> #4 network:front, create, changed: internal",
            "[4] -> #5 a/1, create, depends on network:front, replaced",
            "[1,5] -> #6 a/1, remove, depends on network:front, replaced",
            "[6] -> #7 a/1, rename, depends on network:front, replaced",
            "[7] -> #8 a/1, start, depends on network:front, replaced",
            // b is not asked for, but the network goes from under it, so it comes back.
            "[4] -> #9 b/1, create, depends on network:front, replaced",
            "[2,9] -> #10 b/1, remove, depends on network:front, replaced",
            "[10] -> #11 b/1, rename, depends on network:front, replaced",
            "[11] -> #12 b/1, start, depends on network:front, replaced",
        ],
    );
}

/// The plan of `up a`.
fn up_a(text: &str, observed: &Observed) -> Plan {
    plan(text, observed, &Policy { services: vec!["a".to_owned()], ..Policy::default() })
}

/// Which steps there are about a container, without what they wait for.
fn steps_of(plan: &Plan, address: &str) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| step.address.to_string() == address);
    steps.map(|step| format!("{}, {}", step.action.word(), step.cause)).collect()
}

#[test]
fn what_is_not_asked_for_comes_back_as_often_as_the_file_says() {
    let text = |version: u8, more: &str| {
        format!(
            "
services:
  a: {{ image: a, volumes: ['data:/data'] }}
  b: {{ image: b, volumes: ['data:/data'], {more} }}
volumes:
  data: {{ labels: {{ version: '{version}' }} }}
"
        )
    };
    // Three containers would claim the one name.
    let plan = up_a(&text(2, "container_name: one"), &up(&text(1, "scale: 3")));
    assert_eq!(
        steps_of(&plan, "b/1"),
        ["stop", "remove", "create", "start"].map(|word| format!("{word}, depends on volume:data, replaced"))
    );
    let gone = ["stop", "remove"].map(|word| format!("{word}, depends on volume:data, replaced"));
    assert_eq!(steps_of(&plan, "b/2"), gone);
    assert_eq!(steps_of(&plan, "b/3"), gone);
    assert_eq!(
        plan.warnings,
        ["shop-b-2", "shop-b-3"]
            .map(|name| format!("{name} is removed, because it uses volume:data, which is made anew"))
    );
}

#[test]
fn of_too_many_containers_those_to_go_are_gone_before_the_one_that_comes_back() {
    let text = |version: u8, scale: u8| {
        data(version).replace("{ image: db, ", &format!("{{ image: db, scale: {scale}, "))
    };
    // Otherwise a crash in between would leave db/2 to be kept, and db/1 would be the one too many.
    assert_plan(
        &default(&text(2, 1), &up(&text(1, 2))),
        &[
            "[] -> #1 db/2, stop, more than asked for",
            "[1] -> #2 db/2, remove, more than asked for",
            "[] -> #3 db/1, stop, depends on volume:data, replaced",
            "[2,3] -> #4 db/1, remove, depends on volume:data, replaced",
            "[2,4] -> #5 volume:data, remove, changed: labels.version, loses data",
            "[5] -> #6 volume:data, create, changed: labels.version",
            "[4,6] -> #7 db/1, create, depends on volume:data, replaced",
            "[7] -> #8 db/1, start, depends on volume:data, replaced",
        ],
    );
}

#[test]
fn one_too_many_on_a_changed_network_is_removed_and_not_only_stopped() {
    let observed = up(&NET.replace("image: a,", "image: a, scale: 2,"));
    let plan = default(&NET.replace("false", "true"), &observed);
    assert_eq!(steps_of(&plan, "a/2"), ["stop, more than asked for", "remove, more than asked for"]);
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn what_was_never_started_is_on_its_network_too() {
    let mut observed = up(NET);
    let made = container(&mut observed, "shop-b-1");
    made.state = ContainerState::Created;
    made.networks.values_mut().for_each(String::clear);
    // It is made anew: by its record it is as wanted, but it would be started on a network that is gone.
    let plan = up_a(&NET.replace("false", "true"), &observed);
    assert_eq!(
        steps_of(&plan, "b/1"),
        ["create", "remove", "rename", "start"]
            .map(|word| format!("{word}, depends on network:front, replaced"))
    );
}

#[test]
fn what_comes_back_unasked_gets_what_it_misses_and_no_more() {
    let text = |internal: bool, pull: &str, rest: &str| {
        format!(
            "
services:
  a: {{ image: a, networks: [front] }}
  b: {{ image: b, pull_policy: {pull}, networks: [front, back{rest}], volumes: ['data:/data'] }}
networks:
  front: {{ internal: {internal} }}
  back: {{ internal: {internal} }}
  new: {{}}
  out: {{ external: true }}
volumes:
  data: {{ labels: {{ internal: '{internal}' }} }}
"
        )
    };
    let mut observed = up(&text(false, "missing", ""));
    observed.networks.retain(|network| network.name == "shop_front" || network.name == "shop_back");
    let plan = up_a(&text(true, "always", ", new, out"), &observed);
    assert_eq!(steps_of(&plan, "network:front"), ["remove, changed: internal", "create, changed: internal"]);
    assert_eq!(steps_of(&plan, "network:new"), ["create, missing"]);
    // These changed under it alone: they have their own turn. So has an image that is there.
    for alone in ["network:back", "volume:data", "image:b"] {
        assert!(steps_of(&plan, alone).is_empty(), "{plan}");
    }
    assert_eq!(steps_of(&plan, "b/1").len(), 8, "{plan}");
    assert_eq!(plan.obstacles.len(), 1, "{:?}", plan.obstacles);

    observed.images.remove("b");
    let plan = up_a(&text(true, "missing", ""), &observed);
    assert_eq!(steps_of(&plan, "image:b"), ["pull, missing"]);
}

#[test]
fn what_an_interrupted_replacement_left_does_not_bar_the_next_one_of_a_service_not_asked_for() {
    let now = NET.replace("false", "true");
    let observed = up(NET);
    let made = |plan: &Plan| {
        let mut names = plan.steps.iter().filter_map(|step| match &step.action {
            Action::CreateContainer(new) if new.spec.name() == "b" => Some(new.name.clone()),
            _ => None,
        });
        names.next().expect("a container of b")
    };
    let mut interrupted = observed.clone();
    let mut left = container(&mut interrupted, "shop-b-1").clone();
    (left.id, left.name) = ("left".to_owned(), made(&up_a(&now, &observed)));
    left.state = ContainerState::Created;
    left.networks.clear();
    interrupted.containers.push(left);
    let plan = up_a(&now, &interrupted);
    let removed = (plan.steps.iter())
        .find(|step| step.cause.to_string() == "left by an interrupted run")
        .expect("what was left goes");
    let created = (plan.steps.iter())
        .find(|step| step.address.to_string() == "b/1" && step.action.word() == "create")
        .expect("b comes back");
    assert!(created.after.contains(&removed.id), "{plan}");
}

#[test]
fn an_orphan_on_a_changed_network_is_stopped_and_that_is_said() {
    let without_b = NET.replace("  b: { image: b, networks: [front] }\n", "");
    let mut observed = up(NET);
    let plan = default(&without_b.replace("false", "true"), &observed);
    assert_plan(
        &Plan { steps: plan.steps[1..2].to_vec(), ..Plan::default() },
        &["[] -> #2 b/1, stop, depends on network:front, replaced"],
    );
    assert!(plan.warnings.iter().any(|told| told.starts_with("shop-b-1 is stopped, because")), "{plan:?}");
    assert!(!plan.steps.iter().any(|step| {
        step.address.to_string() == "b/1" && matches!(step.action, Action::RemoveContainer { .. })
    }));
    container(&mut observed, "shop-b-1").state = ContainerState::Exited(0);
    let quiet = default(&without_b.replace("false", "true"), &observed);
    assert!(!quiet.to_string().contains("b/1"), "{quiet}");
}

#[test]
fn a_volume_and_a_network_of_one_name_are_two_things() {
    let text = "
services:
  a: { image: a, networks: [data], volumes: ['data:/data'] }
networks: { data: {} }
volumes: { data: {} }
";
    let plan = default(text, &images_of(text));
    assert_eq!(plan.steps[2].after, [StepId(1), StepId(2)], "{plan}");
}

#[test]
fn what_others_own_is_used_and_never_made() {
    let text = "
services:
  a: { image: a, networks: [out], volumes: ['data:/data'] }
networks: { out: { external: true } }
volumes: { data: { external: true } }
";
    assert!(default(text, &up(text)).is_empty());
    let plan = default(text, &images_of(text));
    assert!(plan.steps.iter().all(|step| step.address.service().is_some()), "{plan}");
    let told: Vec<_> = (plan.obstacles.iter())
        .map(|obstacle| format!("{} at {}; {}", obstacle.what, obstacle.origin.span.start(), obstacle.next))
        .collect();
    let (network, volume) = (text.find("out: {"), text.find("data: {"));
    assert_eq!(
        told,
        [
            format!(
                "volume:data is external, and the engine has no volume data at {}; make it with: docker volume create data",
                volume.expect("it is declared")
            ),
            format!(
                "network:out is external, and the engine has no network out at {}; make it with: docker network create out",
                network.expect("it is declared")
            ),
        ]
    );
}

#[test]
fn what_another_program_or_project_made_is_used_as_it_is() {
    let mut observed = up(&data(1));
    observed.volumes = vec![ObservedVolume {
        name: "shop_data".to_owned(),
        key: None,
        config_hash: String::new(),
        recorded: None,
    }];
    let plan = default(&data(2), &observed);
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(
        plan.warnings,
        ["volume:data uses the volume shop_data, which another project or a person has made"]
    );
    observed.volumes[0].key = Some("data".to_owned());
    assert!(default(&data(2), &observed).warnings.is_empty());
}

#[test]
fn what_docker_compose_made_is_kept_as_long_as_its_hash_is_the_same() {
    let mut observed = up(&data(1));
    observed.volumes[0].recorded = None;
    assert!(default(&data(1), &observed).is_empty());
    let plan = default(&data(2), &observed);
    assert!(plan.to_string().contains("volume:data, remove, made by another program, loses data"), "{plan}");
}

#[test]
fn a_container_joins_its_further_networks_one_by_one_before_it_starts() {
    let text = "
services:
  a: { image: a, networks: { one: { priority: 1 }, two: {}, three: {} } }
networks: { one: {}, two: {}, three: {} }
";
    let plan = default(text, &images_of(text));
    assert_plan(
        &Plan { steps: plan.steps[3..].to_vec(), ..Plan::default() },
        &[
            "[1,2,3] -> #4 a/1, create, missing",
            "[4] -> #5 a/1, connect, missing",
            "[5] -> #6 a/1, connect, missing",
            "[6] -> #7 a/1, start, missing",
        ],
    );
}

const IMAGES: &str = "
services:
  user: { image: 'shop:1' }
  web: { image: 'shop:1', build: . }
  built: { build: { context: ., target: other } }
  pulled: { image: redis }
";

#[test]
fn missing_images_are_built_or_pulled_and_containers_wait_for_them() {
    let plan = default(IMAGES, &Observed::default());
    let text = plan.to_string();
    let images: Vec<_> = text.lines().filter(|line| line.contains(" image:")).collect();
    assert_eq!(
        images,
        [
            "[] -> #2 image:shop:1, build, missing",
            "[] -> #3 image:shop-built, build, missing",
            "[] -> #4 image:redis, pull, missing",
        ]
    );
    // A service without `build` uses what another builds under that name.
    assert!(text.contains("[1,2] -> #5 user/1, create"), "{text}");
    assert!(plan.has_image_steps());
    let alone = plan.image_steps();
    let ids: Vec<_> = alone.steps.iter().map(|step| step.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert!(alone.steps.iter().all(|step| step.after.is_empty() && alone.step(step.id).is_some()));
    assert!(alone.step(StepId(0)).is_none() && alone.step(StepId(4)).is_none());
}

#[test]
fn an_image_is_made_again_when_somebody_asks() {
    let observed = up(IMAGES);
    let kinds = |policy: &Policy| -> Vec<String> {
        let plan = plan_images(&desired(IMAGES), &observed, policy);
        plan.steps
            .iter()
            .map(|step| format!("{} {}, {}", step.action.word(), step.address, step.cause))
            .collect()
    };
    assert!(kinds(&Policy::default()).is_empty());
    assert_eq!(
        kinds(&Policy { build: BuildPolicy::Always, ..Policy::default() }),
        ["build image:shop:1, asked for", "build image:shop-built, asked for"]
    );
    assert_eq!(
        kinds(&Policy { pull: Some(PullPolicy::Always), ..Policy::default() }),
        ["pull image:redis, asked for"]
    );
    let never = Policy { build: BuildPolicy::Never, pull: Some(PullPolicy::Never), ..Policy::default() };
    assert!(plan_images(&desired(IMAGES), &Observed::default(), &never).is_empty());
}

#[test]
fn what_an_image_will_change_is_said_to_be_unknown() {
    let policy = Policy { build: BuildPolicy::Always, ..Policy::default() };
    let plan = containers::plan(&desired(IMAGES), &up(IMAGES), &policy);
    assert_eq!(
        plan.warnings,
        [
            "whether web/1 is replaced is known after image:shop:1 is built",
            "whether user/1 is replaced is known after image:shop:1 is built",
            "whether built/1 is replaced is known after image:shop-built is built",
        ]
    );
}

#[test]
fn one_image_is_pulled_once_as_often_as_anybody_wants() {
    let text = "
services:
  a: { image: redis, pull_policy: missing }
  b: { image: redis, pull_policy: always }
";
    assert_eq!(desired(text).images.len(), 1);
    assert_plan(&default(text, &up(text)), &["[] -> #1 image:redis, pull, asked for"]);
}

#[test]
fn services_that_build_the_same_share_one_build_with_both_names() {
    let text = "services: { a: { build: . }, b: { build: . } }";
    let images = desired(text).images;
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].references, ["shop-a", "shop-b"]);
    assert_eq!(images[0].services, ["a", "b"]);
}

#[test]
fn an_engine_that_mounts_no_images_is_told_before_anything_is_made() {
    let text = "
services:
  web:
    image: web
    scale: 2
    volumes: [{ type: image, source: site, target: /site }]
";
    let told = |api| {
        let observed = Observed { api, ..images_of(text) };
        default(text, &observed).obstacles.into_iter().map(|told| (told.what, told.next)).collect::<Vec<_>>()
    };
    assert!(told(Api(1, 48)).is_empty());
    let wanted = (
        "web/1: a mount of type image needs an engine with API 1.48, and this one has 1.47".to_owned(),
        "copy the files in the image that uses them: COPY --from=site".to_owned(),
    );
    assert_eq!(told(Api(1, 47)), [wanted], "once, whatever the number of containers");
}
