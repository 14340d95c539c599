//! Which ports of the host keep a plan from being carried out.

use crate::support::{container, desired, images_of, plan, up};
use stack_plan::containers::Policy;
use stack_plan::observed::{ContainerState, Observed};
use stack_plan::ports::{HeldPort, Holder, asked, conflicts};

const TEXT: &str = "
services:
  web: { image: web, ports: ['8080:80', '127.0.0.1:9000:90/udp'] }
  api: { image: api, ports: ['7000-7001:70', '99'] }
";

fn held(port: u16, protocol: &str, host_ip: &str, holder: Holder) -> HeldPort {
    HeldPort { protocol: protocol.to_owned(), port, host_ip: host_ip.to_owned(), holder }
}

fn somebody() -> Holder {
    Holder::Container { id: "x".to_owned(), name: "blog-web-1".to_owned(), project: Some("blog".to_owned()) }
}

fn program() -> Holder {
    Holder::Process { pid: Some(4711), program: Some("nginx".to_owned()) }
}

fn found(observed: &Observed, held: &[HeldPort]) -> Vec<String> {
    let desired = desired(TEXT);
    let plan = plan(TEXT, observed, &Policy::default());
    let told = conflicts(&plan, &desired, held).into_iter();
    told.map(|found| format!("{} {} {}", found.address, found.port, found.holder)).collect()
}

#[test]
fn ports_matter_only_to_what_is_started() {
    let ports = |observed: &Observed| asked(&plan(TEXT, observed, &Policy::default()), &desired(TEXT));
    let all: Vec<_> =
        ports(&images_of(TEXT)).into_iter().map(|(name, port)| format!("{name}{port}")).collect();
    assert_eq!(all, ["tcp7000", "tcp7001", "tcp8080", "udp9000"]);
    assert!(ports(&up(TEXT)).is_empty());
    let no_start = Policy { no_start: true, ..Policy::default() };
    assert!(asked(&plan(TEXT, &images_of(TEXT), &no_start), &desired(TEXT)).is_empty());
}

#[test]
fn a_port_that_another_keeps_is_told_with_who_asks_for_it() {
    let fresh = images_of(TEXT);
    assert_eq!(
        found(&fresh, &[held(8080, "tcp", "0.0.0.0", somebody()), held(9000, "udp", "0.0.0.0", program())]),
        [
            "web/1 8080/tcp the container blog-web-1 of the project blog",
            "web/1 127.0.0.1:9000/udp nginx, process 4711 of this host",
        ]
    );
    assert!(found(&fresh, &[held(8080, "udp", "0.0.0.0", somebody())]).is_empty(), "another protocol");
    assert!(found(&fresh, &[held(9000, "udp", "10.0.0.1", somebody())]).is_empty(), "another address");
    // A program at `::` may have left IPv4 alone.
    assert!(found(&fresh, &[held(9000, "udp", "::", program())]).is_empty());
    assert_eq!(found(&fresh, &[held(8080, "tcp", "::", program())]).len(), 1);
}

#[test]
fn what_the_plan_stops_itself_holds_nothing_any_more() {
    let mut observed = up(TEXT);
    let own = |observed: &mut Observed| Holder::Container {
        id: container(observed, "shop-web-1").id.clone(),
        name: "shop-web-1".to_owned(),
        project: Some("shop".to_owned()),
    };
    let holder = own(&mut observed);
    container(&mut observed, "shop-web-1").image_id = "sha256:older".to_owned();
    assert!(found(&observed, &[held(8080, "tcp", "0.0.0.0", holder.clone())]).is_empty());
    // One of the project that stays keeps what it has.
    let mut stray = container(&mut observed, "shop-web-1").clone();
    (stray.id, stray.name, stray.service) = ("stray".to_owned(), "shop-old-1".to_owned(), "old".to_owned());
    observed.containers.push(stray);
    container(&mut observed, "shop-web-1").state = ContainerState::Exited(1);
    let keeps = Holder::Container { id: "stray".to_owned(), name: "shop-old-1".to_owned(), project: None };
    assert_eq!(
        found(&observed, &[held(8080, "tcp", "0.0.0.0", keeps)]),
        ["web/1 8080/tcp the container shop-old-1"]
    );
}

#[test]
fn of_a_range_one_free_port_is_enough_for_each_container() {
    let taken = |port| held(port, "tcp", "0.0.0.0", somebody());
    let fresh = images_of(TEXT);
    assert!(found(&fresh, &[taken(7000)]).is_empty());
    assert_eq!(found(&fresh, &[taken(7000), taken(7001)]).len(), 1);
}

#[test]
fn on_the_network_of_the_host_nothing_is_published() {
    let text = "services: { web: { image: web, network_mode: host } }";
    assert!(asked(&plan(text, &images_of(text), &Policy::default()), &desired(text)).is_empty());
}
