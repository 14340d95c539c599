//! The planner for Docker Swarm.

use std::collections::{BTreeMap, BTreeSet};

use stack_file::swarm::refusals;
use stack_plan::containers::{Policy, Recreate};
use stack_plan::desired::Desired;
use stack_plan::fields::{Alteration, Shown};
use stack_plan::generation::{Generation, Occasion};
use stack_plan::plan::{Change, Plan};
use stack_plan::swarm::{
    Availability, ObservedNode, ObservedObject, ObservedOverlay, ObservedService, ObservedTask,
    ObservedUpdate, SwarmDesired, SwarmImage, SwarmObserved, SwarmTeardown, TaskState, Trouble, UpdateState,
    Verdict, plan, teardown,
};

use crate::support::{assert_plan, loaded};

const SHOP: &str = "
services:
  db:
    image: db:1
    healthcheck: { test: [CMD, look] }
    configs: [app]
    secrets: [token]
  migrate:
    image: shop:1
    restart: 'no'
    depends_on: { db: { condition: service_healthy } }
  web:
    image: shop:1
    environment: { LEVEL: info }
    deploy: { replicas: 2 }
    depends_on:
      db: { condition: service_healthy, restart: true }
      migrate: { condition: service_completed_successfully }
configs: { app: { content: 'a = 1' } }
secrets: { token: { environment: TOKEN } }
";

fn desired(text: &str) -> SwarmDesired {
    let loaded = loaded(text, &[("TOKEN", "hush")]);
    assert!(refusals(&loaded, &[]).is_empty(), "{:#?}", refusals(&loaded, &[]));
    SwarmDesired::of(&loaded.stack, &Desired::of(&loaded.stack, &BTreeMap::new()))
}

fn waiting() -> Policy {
    Policy { wait: true, ..Policy::default() }
}

fn made(text: &str, observed: &SwarmObserved, policy: &Policy) -> Plan {
    plan(&desired(text), observed, policy)
}

/// One node that has all images, and nothing of the project.
fn nothing() -> SwarmObserved {
    let image = |name: &str| {
        let digest = Some(format!("sha256:{name}"));
        (name.to_owned(), SwarmImage { id: format!("sha256:id-of-{name}"), digest, tagged: None })
    };
    SwarmObserved {
        here: "n1".to_owned(),
        without_ipvs: Some(false),
        nodes: vec![node("n1")],
        images: ["db:1", "shop:1"].into_iter().map(image).collect(),
        ..SwarmObserved::default()
    }
}

fn node(id: &str) -> ObservedNode {
    ObservedNode {
        id: id.to_owned(),
        name: format!("host-{id}"),
        address: "10.0.0.1".to_owned(),
        manager: id == "n1",
        ready: true,
        message: String::new(),
        availability: Availability::Active,
        engine: String::new(),
        labels: BTreeMap::new(),
        nano_cpus: 4_000_000_000,
        memory: 8 << 30,
    }
}

/// What is there when the stack of this text is up.
fn up(text: &str) -> SwarmObserved {
    let desired = desired(text);
    let mut observed = nothing();
    observed.networks = (desired.networks.iter())
        .map(|spec| ObservedOverlay {
            id: format!("{}-id", spec.network.name),
            name: spec.network.name.clone(),
            own: true,
            swarm: true,
            recorded: Some(spec.fields.record()),
        })
        .collect();
    observed.objects = (desired.objects.iter())
        .map(|spec| ObservedObject {
            kind: spec.kind,
            id: format!("{}-id", spec.name),
            name: spec.name.clone(),
            key: Some(spec.key.clone()),
            digest: spec.digest.clone(),
        })
        .collect();
    for spec in &desired.services {
        let job = spec.mode.is_job();
        let state = if job { TaskState::Complete } else { TaskState::Running };
        observed.services.push(ObservedService {
            id: format!("{}-id", spec.key()),
            name: spec.name.clone(),
            service: spec.key().to_owned(),
            version: 7,
            recorded: Some(spec.fields.record()),
            image: format!("{0}@sha256:{0}", spec.reference),
            reference: spec.reference.clone(),
            mode: spec.mode,
            replicas: spec.replicas,
            altered: Vec::new(),
            uses: spec.files.iter().map(|file| format!("{}-id", file.object)).collect(),
            force_update: 3,
            update: None,
            desired: spec.replicas,
            completed: if job { spec.replicas } else { 0 },
            checked: spec.service.healthcheck.is_some(),
            ports: Vec::new(),
            tasks: (1..=spec.replicas).map(|slot| task(slot, state)).collect(),
        });
    }
    observed
}

fn task(slot: u64, state: TaskState) -> ObservedTask {
    ObservedTask {
        id: format!("task-{slot}-{}", state.word()),
        slot,
        node: "n1".to_owned(),
        state,
        wanted: state.min(TaskState::Shutdown),
        error: String::new(),
        exit_code: None,
        container: None,
        image: String::new(),
        current: true,
        created: 0,
        since: 0,
    }
}

#[test]
fn services_come_in_the_order_of_what_they_need_and_each_is_waited_for() {
    assert_plan(
        &made(SHOP, &nothing(), &waiting()),
        &[
            "[] -> #1 network:default, create, missing",
            "[] -> #2 config:app, create, missing",
            "[] -> #3 secret:token, create, missing",
            "[1,2,3] -> #4 service:db, create, missing",
            "[4] -> #5 service:db, await converged, waited for",
            "[1,5] -> #6 service:migrate, create, missing",
            "[6] -> #7 service:migrate, await completed, waited for",
            "[1,5,7] -> #8 service:web, create, missing",
            "[8] -> #9 service:web, await converged, waited for",
        ],
    );
}

#[test]
fn what_is_up_is_left_alone() {
    let plan = made(SHOP, &up(SHOP), &waiting());
    assert!(plan.is_empty() && plan.obstacles.is_empty() && plan.warnings.is_empty(), "{plan}");
    assert_eq!(plan.unchanged.len(), 6);
}

#[test]
fn without_a_wait_only_what_others_need_is_waited_for() {
    let plan = made(SHOP, &nothing(), &Policy::default()).to_string();
    assert!(plan.contains("service:db, await converged") && !plan.contains("service:web, await"), "{plan}");
}

#[test]
fn another_content_is_another_config_and_the_old_one_goes_when_the_change_has_held() {
    assert_plan(
        &made(&SHOP.replace("a = 1", "a = 2"), &up(SHOP), &waiting()),
        &[
            "[] -> #1 config:app, create, content changed",
            "[1] -> #2 service:db, update, changed: configs.app",
            "[2] -> #3 service:db, await converged, waited for",
            "[3] -> #4 service:web, restart, depends on service:db, replaced",
            "[4] -> #5 service:web, await converged, waited for",
            "[3,5] -> #6 config:app, remove, more than asked for",
            "db: stop-first; when more than 0 % fail: pause, those that are replaced stay so",
            "web: stop-first; when more than 0 % fail: pause, those that are replaced stay so",
        ]
        .map(|line| line.replace("web, restart,", "web, update,"))
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>(),
    );
}

#[test]
fn a_number_of_replicas_that_differs_is_a_change() {
    let plan = made(&SHOP.replace("replicas: 2", "replicas: 3"), &up(SHOP), &waiting()).to_string();
    assert!(plan.starts_with("[] -> #1 service:web, update, changed: deploy.replicas\n"), "{plan}");
}

#[test]
fn what_becomes_a_job_goes_and_comes_anew() {
    let before = SHOP.replace("      migrate: { condition: service_completed_successfully }\n", "");
    let plan = made(SHOP, &up(&before), &waiting()).to_string();
    let wanted = "\
[] -> #1 service:migrate, remove, changed: deploy.mode
[1] -> #2 service:migrate, await no tasks, changed: deploy.mode
[2] -> #3 service:migrate, create, changed: deploy.mode
[3] -> #4 service:migrate, await completed, waited for
";
    assert!(plan.starts_with(wanted), "{plan}");
}

#[test]
fn what_the_file_does_not_have_stays_until_that_is_asked_for_and_goes_last() {
    let without = SHOP.split("  web:").next().map(str::to_owned).expect("a part")
        + "configs: { app: { content: 'a = 1' } }\nsecrets: { token: { environment: TOKEN } }\n";
    let plan = made(&without, &up(SHOP), &waiting());
    assert_eq!(plan.warnings, ["the file does not have web; remove with --remove-orphans"]);
    let policy = Policy { remove_orphans: true, ..waiting() };
    let plan = made(&without.replace("db:1", "shop:1"), &up(SHOP), &policy).to_string();
    let last: Vec<&str> = plan.lines().filter(|line| line.contains("service:web")).collect();
    assert!(last[0].contains("remove, not in the file") && !last[0].starts_with("[]"), "{plan}");
    assert!(last[1].contains("await no tasks"), "{plan}");
}

#[test]
fn a_force_replaces_what_is_as_it_is_to_be() {
    let policy = Policy { services: vec!["db".to_owned()], recreate: Recreate::Always, ..waiting() };
    let plan = made(SHOP, &up(SHOP), &policy);
    assert_eq!(plan.steps.len(), 2, "{plan}");
    assert!(plan.to_string().starts_with("[] -> #1 service:db, update, asked for"), "{plan}");
}

#[test]
fn what_the_nodes_cannot_do_is_in_the_way_with_its_remedy() {
    let mut observed = nothing();
    observed.without_ipvs = Some(true);
    let told: Vec<_> = made(SHOP, &observed, &waiting()).obstacles;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|told| told.next.contains("endpoint_mode: dnsrr")), "{told:?}");
    let mut observed = nothing();
    observed.nodes.push(node("n2"));
    observed.images.values_mut().for_each(|image| image.digest = None);
    let told: Vec<_> =
        made(SHOP, &observed, &waiting()).obstacles.into_iter().map(|told| told.what).collect();
    let alone = |image| {
        format!("no registry has the image {image}, and no way is known to host-n2, where tasks may land")
    };
    assert_eq!(told, [alone("db:1"), alone("shop:1")]);
}

#[test]
fn an_image_is_named_so_that_every_node_takes_the_same() {
    let plan = made(SHOP, &nothing(), &waiting());
    let images: BTreeSet<String> = (plan.steps.iter())
        .filter_map(|step| match &step.action {
            stack_plan::plan::Action::CreateService(spec) => Some(spec.image.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(images, ["db:1@sha256:db:1", "shop:1@sha256:shop:1"].map(str::to_owned).into());
    let mut moved = up(SHOP);
    moved.images.get_mut("db:1").expect("an image").digest = Some("sha256:new".to_owned());
    let plan = made(SHOP, &moved, &waiting()).to_string();
    assert!(plan.starts_with("[] -> #1 service:db, update, image is newer"), "{plan}");
}

#[test]
fn down_waits_for_the_tasks_before_it_removes_networks_and_then_all_else() {
    assert_plan(
        &teardown("shop", Some(&desired(SHOP)), &up(SHOP), &SwarmTeardown::default()),
        &[
            "[] -> #1 service:db, remove, asked for",
            "[1] -> #2 service:db, await no tasks, asked for",
            "[] -> #3 service:migrate, remove, asked for",
            "[3] -> #4 service:migrate, await no tasks, asked for",
            "[] -> #5 service:web, remove, asked for",
            "[5] -> #6 service:web, await no tasks, asked for",
            "[2,4,6] -> #7 network:default, remove, asked for",
            "[2,4,6,7] -> #8 config:app, remove, asked for",
            "[2,4,6,7] -> #9 secret:token, remove, asked for",
        ],
    );
}

fn service(tasks: Vec<ObservedTask>, update: Option<UpdateState>) -> ObservedService {
    let mut service = up(SHOP).services.remove(0);
    service.tasks = tasks;
    service.update = update.map(|state| ObservedUpdate { state, message: String::new(), began: 1 });
    service
}

#[test]
fn the_tasks_of_a_service_come_to_a_verdict() {
    let none = BTreeSet::new();
    let running = || task(1, TaskState::Running);
    let failed = |number: i64, wanted| ObservedTask {
        id: number.to_string(),
        wanted,
        exit_code: Some(1),
        created: number,
        ..task(1, TaskState::Failed)
    };
    let verdict = |tasks, update| service(tasks, update).verdict(&none);
    assert_eq!(verdict(vec![running()], None), Verdict::Converged);
    let working = Verdict::Working { ready: 0, of: 1 };
    assert_eq!(verdict(vec![task(1, TaskState::Starting)], None), working);
    // One with the settings of before is not what is waited for.
    assert_eq!(verdict(vec![ObservedTask { current: false, ..running() }], None), working);
    let over = TaskState::Shutdown;
    assert!(matches!(
        verdict(vec![failed(1, over)], None),
        Verdict::Failed(Trouble::Ended { code: Some(1), .. })
    ));
    let again = vec![failed(1, over), failed(2, over), failed(3, over), task(1, TaskState::Starting)];
    assert!(matches!(verdict(again.clone(), None), Verdict::Failed(Trouble::Loops { times: 3, .. })));
    // What failed before the wait is no failure of it.
    let service_again = service(again, None);
    assert_eq!(service_again.verdict(&service_again.failed_tasks()), working);
    assert_eq!(
        verdict(vec![running()], Some(UpdateState::RollbackCompleted)),
        Verdict::Failed(Trouble::RolledBack)
    );
    let past = service(vec![running()], Some(UpdateState::RollbackCompleted)).settled();
    assert_eq!(past.verdict(&none), Verdict::Converged);
    // What was put back may be older than what had its place meanwhile.
    let bad = ObservedTask { current: false, created: 9, ..failed(9, over) };
    assert_eq!(verdict(vec![bad, running()], None), Verdict::Converged);
}

const LOCAL: &str = "
services:
  web:
    image: web:1
    deploy: { replicas: 2 }
  here:
    image: web:1
    deploy: { placement: { constraints: ['node.hostname==host-n1'] } }
";

/// Three nodes of which the first alone has an image that no registry has; the third is drained.
fn three_nodes() -> SwarmObserved {
    let mut observed = nothing();
    let drained = ObservedNode { availability: Availability::Drain, ..node("n3") };
    observed.nodes = vec![node("n1"), node("n2"), drained];
    let image = SwarmImage { id: "sha256:web".to_owned(), digest: None, tagged: None };
    observed.images.insert("web:1".to_owned(), image);
    observed
}

#[test]
fn an_image_of_this_node_alone_must_not_be_asked_of_nodes_to_which_there_is_no_way() {
    let plan = made(LOCAL, &three_nodes(), &waiting());
    let told: Vec<_> = plan.obstacles.iter().map(|obstacle| obstacle.what.as_str()).collect();
    assert_eq!(
        told,
        ["no registry has the image web:1, and no way is known to host-n2, where tasks may land"]
    );
    assert!(plan.obstacles[0].next.contains("nodes: {host-n2:"), "{}", plan.obstacles[0].next);
}

#[test]
fn an_image_must_be_on_a_node_before_a_service_may_land_there() {
    let mut observed = three_nodes();
    observed.ways.insert("n2".to_owned(), BTreeSet::new());
    let plan = made(LOCAL, &observed, &waiting());
    assert!(plan.obstacles.is_empty(), "{:?}", plan.obstacles);
    let ships: Vec<_> = plan.steps.iter().filter(|step| step.action.word() == "ship").collect();
    assert_eq!(ships.len(), 1, "the drained node gets nothing, nor does the service that stays here");
    let web = plan
        .steps
        .iter()
        .find(|step| step.action.word() == "create" && step.address.to_string() == "service:web");
    assert!(web.is_some_and(|web| web.after.contains(&ships[0].id)), "{:?}", plan.steps);
    observed.ways.insert("n2".to_owned(), BTreeSet::from(["sha256:web".to_owned()]));
    let plan = made(LOCAL, &observed, &waiting());
    assert!(plan.steps.iter().all(|step| step.action.word() != "ship"), "it is there already");
}

#[test]
fn an_image_that_is_built_here_goes_to_the_registry_that_its_name_tells() {
    let text = "services: { web: { image: 'registry.example.com/web:1', build: . } }";
    let built = SwarmImage { id: "sha256:web".to_owned(), digest: None, tagged: None };
    let mut observed = SwarmObserved { nodes: vec![node("n1"), node("n2")], ..nothing() };
    let first = made(text, &observed, &waiting());
    assert_plan(
        &first,
        &[
            "[] -> #1 image:registry.example.com/web:1, build, missing",
            "[1] -> #2 image:registry.example.com/web:1, push, missing",
            "[] -> #3 network:default, create, missing",
            "[2,3] -> #4 service:web, create, missing",
            "[4] -> #5 service:web, await converged, waited for",
        ],
    );
    let image = observed.images.entry("registry.example.com/web:1".to_owned()).or_insert(built);
    image.digest = Some("sha256:of-the-registry".to_owned());
    assert!(made(text, &observed, &waiting()).steps.iter().all(|step| step.group != Change::Push));
    observed.images.get_mut("registry.example.com/web:1").expect("the image").digest = None;
    let again = made(text, &observed, &waiting());
    assert!(again.obstacles.is_empty(), "{:#?}", again.obstacles);
    assert_eq!(again.steps[0].group, Change::Push);
    observed.nodes.truncate(1);
    assert!(made(text, &observed, &waiting()).steps.iter().all(|step| step.group != Change::Push));
}

fn altered(field: &str, made: &str, now: &str) -> Alteration {
    let shown = |text: &str| if text.is_empty() { Shown::Nothing } else { Shown::Text(text.to_owned()) };
    Alteration { field: field.to_owned(), made: shown(made), now: shown(now) }
}

#[test]
fn what_was_changed_by_hand_is_told_setting_by_setting_and_mended() {
    let mut observed = up(SHOP);
    let web = observed.services.iter_mut().find(|there| there.service == "web").expect("web");
    web.altered = vec![altered("deploy.replicas", "2", "5"), altered("user", "", "0")];
    web.replicas = 5;
    let plan = made(SHOP, &observed, &waiting());
    let wanted = "[] -> #1 service:web, update, changed by hand: user, deploy.replicas\n";
    assert!(plan.to_string().starts_with(wanted), "{plan}");
    // What the file says otherwise now is a change of the file, whoever else had a hand in it.
    let plan = made(&SHOP.replace("LEVEL: info", "LEVEL: debug"), &observed, &waiting()).to_string();
    assert!(plan.starts_with("[] -> #1 service:web, update, changed: environment.LEVEL"), "{plan}");
    // A number that the file has come to say meanwhile is no difference any more.
    let plan = made(&SHOP.replace("replicas: 2", "replicas: 5"), &observed, &waiting()).to_string();
    assert!(plan.starts_with("[] -> #1 service:web, update, changed by hand: user\n"), "{plan}");
}

#[test]
fn a_config_that_nothing_uses_any_more_goes_without_a_wait() {
    let mut observed = up(SHOP);
    let old = ObservedObject {
        kind: stack_file::model::FileKind::Config,
        id: "old".to_owned(),
        name: "shop_app_00000000".to_owned(),
        key: Some("app".to_owned()),
        digest: String::new(),
    };
    observed.objects.push(old);
    let changed = SHOP.replace("LEVEL: info", "LEVEL: debug");
    let plan = made(&changed, &observed, &Policy::default()).to_string();
    assert!(plan.contains("[] -> #2 config:app, remove, more than asked for"), "{plan}");
    // One that a change may still go back to stays.
    observed.services[0].uses.insert("old".to_owned());
    let plan = made(&changed, &observed, &Policy::default()).to_string();
    assert!(!plan.contains("config:app"), "{plan}");
}

#[test]
fn a_service_that_no_node_can_take_is_refused_with_what_each_node_lacks() {
    let text = "
services:
  web:
    image: shop:1
    deploy: { placement: { constraints: [node.labels.disk==ssd] }, resources: { reservations: { memory: 16g } } }
";
    let mut observed = nothing();
    observed.nodes.push(ObservedNode { availability: Availability::Drain, ..node("n2") });
    observed.nodes.push(ObservedNode { ready: false, ..node("n3") });
    let told = made(text, &observed, &waiting()).obstacles;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0].what,
        "no node can take tasks of web: host-n1 does not meet `node.labels.disk==ssd`: its node.labels.disk is \
         nothing; host-n2 is drained; host-n3 does not answer"
    );
    assert!(told[0].next.contains("docker node update --label-add disk=ssd host-n1"), "{}", told[0].next);
    observed.nodes[0].labels.insert("disk".to_owned(), "ssd".to_owned());
    let told = made(text, &observed, &waiting()).obstacles;
    assert!(
        told[0].what.contains("host-n1 has 8192 MiB of memory, and a task reserves 16384 MiB"),
        "{told:?}"
    );
    let fits = text.replace("16g", "4g");
    assert!(made(&fits, &observed, &waiting()).obstacles.is_empty());
    // What is up and as it is to be is in nobody's way, wherever its nodes have gone.
    let mut there = up(&fits);
    there.nodes.iter_mut().for_each(|node| node.ready = false);
    assert!(made(&fits, &there, &waiting()).obstacles.is_empty());
}

#[test]
fn more_tasks_than_places_are_told() {
    let text = "
services:
  web:
    image: shop:1
    ports: [{ target: 80, published: '80', mode: host }]
    deploy: { replicas: 2, endpoint_mode: dnsrr }
";
    let mut observed = nothing();
    observed.nodes.push(ObservedNode { availability: Availability::Drain, ..node("n2") });
    let plan = made(text, &observed, &waiting());
    assert_eq!(
        plan.warnings,
        ["web asks for 2 tasks, and 1 node has room for 1 each: the others wait; host-n2 is drained"]
    );
    observed.nodes[1].availability = Availability::Active;
    assert!(made(text, &observed, &waiting()).warnings.is_empty());
}

/// What a run has made of a stack.
fn generation(text: &str, observed: &SwarmObserved) -> Generation {
    let loaded = loaded(text, &[("TOKEN", "hush")]);
    let one = Desired::of(&loaded.stack, &BTreeMap::new());
    Generation::of_swarm(4, Occasion::default(), &loaded, (&one, &desired(text)), observed)
}

#[test]
fn a_generation_has_what_is_as_the_file_says_and_no_secret() {
    let mut observed = up(SHOP);
    let kept = generation(SHOP, &observed);
    assert!(kept.others.is_empty(), "{:?}", kept.others);
    let image = kept.services["web"].image.as_ref().expect("an image");
    assert_eq!((image.reference.as_str(), image.digests[0].as_str()), ("shop:1", "shop:1@sha256:shop:1"));
    assert_eq!((kept.services["web"].scale, kept.services["migrate"].job), (2, true));
    assert!(!kept.write().contains("hush"));
    assert_eq!(Generation::read(&kept.write()).as_ref(), Some(&kept));
    assert_eq!(kept.drift_on_swarm(&observed), []);
    let other = loaded(SHOP, &[("TOKEN", "another")]);
    let one = Desired::of(&other.stack, &BTreeMap::new());
    let unlike = kept.unlike_on_swarm(&other, &one, &SwarmDesired::of(&other.stack, &one));
    assert_eq!(unlike.iter().map(|found| found.field.as_str()).collect::<Vec<_>>(), ["secrets.token"]);
    // A service whose change was put back is not as the file says.
    observed.services[0].recorded = None;
    assert!(generation(SHOP, &observed).others.contains("db"));
}

#[test]
fn what_a_person_did_to_a_service_is_drift() {
    let mut observed = up(SHOP);
    let kept = generation(SHOP, &observed);
    let web = observed.services.iter_mut().find(|there| there.service == "web").expect("web");
    web.altered = vec![altered("deploy.replicas", "2", "0"), altered("user", "", "0")];
    web.replicas = 0;
    observed.services.retain(|there| there.service != "migrate");
    observed.networks.clear();
    let told: Vec<String> = (kept.drift_on_swarm(&observed).iter())
        .map(|found| format!("{} {} {} → {}", found.resource, found.field, found.was, found.now))
        .collect();
    assert_eq!(
        told,
        [
            "migrate service there → (none)",
            "web user (none) → 0",
            "web deploy.replicas 2 → 0",
            "network:default network there → (none)",
        ]
    );
}

#[test]
fn a_way_back_names_the_very_image_and_records_what_its_file_says() {
    let loaded = loaded(SHOP, &[("TOKEN", "hush")]);
    let pins = BTreeMap::from([("web".to_owned(), "shop:1@sha256:old".to_owned())]);
    let one = Desired::of(&loaded.stack, &BTreeMap::new()).pinned(&pins);
    let back = SwarmDesired::of(&loaded.stack, &one);
    let web = back.service("web").expect("web");
    assert_eq!(web.reference, "shop:1@sha256:old");
    assert_eq!(web.labels["com.docker.stack.image"], "shop:1");
    let mut observed = up(SHOP);
    let image = SwarmImage { id: "sha256:x".to_owned(), digest: Some("sha256:old".to_owned()), tagged: None };
    observed.images.insert("shop:1@sha256:old".to_owned(), image);
    let policy = Policy { retired: vec!["since".to_owned()], ..waiting() };
    observed.services.push(ObservedService { service: "since".to_owned(), ..observed.services[0].clone() });
    let text = plan(&back, &observed, &policy).to_string();
    assert!(text.starts_with("[] -> #1 service:web, update, image is newer"), "{text}");
    assert!(text.contains("service:since, remove, not in the file"), "{text}");
}

#[test]
fn names_that_a_swarm_does_not_take_are_told_before_it_is_asked() {
    let long = "a".repeat(60);
    let text = format!(
        "services: {{ my.app: {{ image: shop:1, configs: [{long}] }} }}\nconfigs: {{ {long}: {{ content: x }} }}"
    );
    let told: Vec<String> =
        made(&text, &nothing(), &waiting()).obstacles.into_iter().map(|told| told.what).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("the config would be called shop_aaa") && told[0].contains("64 characters"));
    assert!(told[1].contains("the service would be called shop_my.app"), "{}", told[1]);
}
