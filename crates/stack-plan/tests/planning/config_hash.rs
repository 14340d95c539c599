//! docker compose's hash. What a service comes to was taken from `docker compose config --hash`.

use sha2::{Digest, Sha256};
use stack_plan::labels::CONFIG_HASH;

use crate::support::desired;

const REST: &str = "\nvolumes: { data: }\nnetworks: { front: , back: }\n";

fn hash_of(service: &str) -> String {
    desired(&format!("services:\n  a: {service}{REST}")).services[0].labels[CONFIG_HASH].clone()
}

#[test]
fn services_have_the_hash_that_docker_compose_gives_them() {
    let mut wrong = Vec::new();
    for (service, hash) in [
        (r#"{ image: a }"#, "ead32641ace023dfb5148a9f4e8937d023a3b7fcc8af8f3e47f76229311a2be6"),
        (
            r#"{ image: a, command: [], entrypoint: "" }"#,
            "8267702c4fd990929e3b2ba445afd56238a0a40104b8d14bb294091dd411abf8",
        ),
        (
            r#"{ image: a, command: "echo $$HOME 'a < b & c'", entrypoint: [/run, "é\u2028\t\"\\"] }"#,
            "301bc11cdb5c83481dc88407a2852ac2f530c0dfe915ae0ad9218035bac466ea",
        ),
        (
            r#"{ build: /b, image: a, scale: 3, pull_policy: always, profiles: [] }"#,
            "ead32641ace023dfb5148a9f4e8937d023a3b7fcc8af8f3e47f76229311a2be6",
        ),
        (r#"{ build: /b }"#, "8ed9276b9b43971f5e501d66147c519a039b4cf02cb7c2f3b6c3aa25e8d28823"),
        (
            r#"{ image: a, environment: { B: "", A: "1", N: , X: 0.10 } }"#,
            "48dfee04545c4b1f9de2682f5bc98be46528e837e8928e5720866436091c72e0",
        ),
        (
            r#"{ image: a, environment: [B=, A=1=2] }"#,
            "5438da636a1c68c2b2c7c2382df00e3836db23d18414a3361d484bd88083b049",
        ),
        (
            r#"{ image: a, networks: { front: { aliases: [y, x], ipv4_address: 10.0.0.5, priority: 5 }, back: } }"#,
            "7751d385efb49e138949580cf1734e0bb01524ff6fe2d6648c3d3744fd39624a",
        ),
        (
            r#"{ image: a, network_mode: host }"#,
            "1d78b491934e7d4f5a84618586177abf4364d49f2b1df4f97fee654c9c6b8bec",
        ),
        (
            r#"{ image: a, deploy: { replicas: 2 } }"#,
            "1594972185b5ebb99121ce44f78afc99a9a7f9c59c98d2d1651346d51590f959",
        ),
        (
            r#"{ image: a, deploy: { replicas: 2, resources: { limits: { cpus: "0.5", memory: 64m } } } }"#,
            "c05b5d2a3dd60201abfc378a08887fa27beb13e1cec52808367ac46534291b52",
        ),
        (
            r#"{ image: a, deploy: { resources: { limits: { cpus: 0.1, pids: 5 }, reservations: { memory: 5m } } } }"#,
            "a3f89950889f6ec65348355af3afb0fb8cbcdbdd82dc02dfa26d26544582af8b",
        ),
        (
            r#"{ image: a, ports: ["8080:80", "127.0.0.1:90:90/udp", "7000-7002:7000-7002"] }"#,
            "d927428539ed6a0b3bab79eb4b43f02e34be3d41f115a9261e4f88e722e562f5",
        ),
        (
            r#"{ image: a, volumes: ["/h:/h:ro", { type: volume, source: data, target: /d }] }"#,
            "195e80838c7d87a975b8ff3a92beda9f3dddd0d0c6ddc0d7b380359f0f398051",
        ),
        (
            r#"{ image: a, volumes: [{ type: tmpfs, target: /t, tmpfs: { size: 1m, mode: 0755 } }] }"#,
            "18d6486867a0d24d33c4af14ead90cd0d6edb1eb0cec5b27dd390c7bd7d8abb2",
        ),
        (
            r#"{ image: a, healthcheck: { test: curl x, interval: 90s, timeout: 0s, retries: 0, start_period: 1m } }"#,
            "bb5d7a0ae9ea011b8aa172a3bc0e095157f87f74332d933b5d10e89a7148dabc",
        ),
        (
            r#"{ image: a, logging: { driver: json-file, options: { max-size: 10m, max-file: 3 } } }"#,
            "4bc40da06c3dda5e96da44a7b77c373b596eda2b4e7f2eb66d203e5135951e64",
        ),
        (
            r#"{ image: a, init: false, tty: false, stdin_open: true, read_only: true, privileged: false }"#,
            "fe37538b3b4f57c18494810964d33f3b5d1bb86330b01542b940439dbba3c994",
        ),
        (
            r#"{ image: a, labels: { z: 1, a: "<&>" }, annotations: { x: y } }"#,
            "a12146c0fc82450f251d261365d08e7e03a55f2fc1ab84a60b66c60d0e60e8be",
        ),
        (
            r#"{ image: a, stop_grace_period: 1m, stop_signal: SIGINT, restart: "on-failure:3", working_dir: /w, user: "1:1" }"#,
            "056177b6a502c08a42289dc1adb47aca79e4a7e8315003c577f1b83b6ef228c2",
        ),
        (
            r#"{ image: a, ulimits: { nofile: { soft: 1, hard: 2 }, core: { soft: 0, hard: 0 } } }"#,
            "c17701b480ba991bdc2b2935df4b6617025ddc8f0892eeebec711516a8034ec2",
        ),
        (
            r#"{ image: a, mem_limit: 64m, mem_reservation: 1g, shm_size: 1m, cpus: 1.5, pids_limit: -1 }"#,
            "676cd96608020fb3f751883621a565f97334ea2c0dda1cb86bfe24d8c839a0fd",
        ),
        (r#"{ image: a, cpus: 0.3 }"#, "6cb8863c7371c2b663e5dc950c39cfa845ec6d1f68c20bbf37267e98200b71ad"),
        (
            r#"{ image: a, extra_hosts: ["z:1.2.3.4", "b=::1", "a:2.3.4.5"] }"#,
            "b16be62a4994f0572a3e858515f8b4b0ddb4c60602e3893d34dab73998c44026",
        ),
        (
            r#"{ image: a, dns: 1.1.1.1, dns_search: [b, a], dns_opt: [x], tmpfs: [/a, "/b:size=1m"], group_add: ["1", b] }"#,
            "61c35457b20b0dbdeaabefde4629dfa7f74253e76485fb1c52252e93cf936244",
        ),
        (
            r#"{ image: a, cap_add: [NET_ADMIN], cap_drop: [ALL], security_opt: ["no-new-privileges:true"], sysctls: { net.core.somaxconn: 1024 } }"#,
            "b22060b91b0a9787f28f7c292f1cc22e2effea50bb51e18587437e73a509889d",
        ),
        (
            r#"{ image: a, hostname: h, domainname: d, container_name: aa, platform: linux/amd64 }"#,
            "903ef492403fa9fe15c23be797386ca56b69a3b0e8426c4c1a56bc94b2083b92",
        ),
        (
            r#"{ image: a, x-own: { b: 1 } }"#,
            "ead32641ace023dfb5148a9f4e8937d023a3b7fcc8af8f3e47f76229311a2be6",
        ),
        (
            r#"{ image: a, ulimits: { nofile: 65535, core: 0, x: { soft: 1, hard: 1 } } }"#,
            "ae575b16c9ba12e5b3a9fe8373d6d0beb5effa91dd71a6e662ac2691bf4137f4",
        ),
        (
            r#"{ image: a, networks: { front: {}, back: } }"#,
            "564deca793b0fb44990bdc40269f2ffa97130ff2e3d75661bdf46bfb2cfdfaa8",
        ),
        (
            r#"{ image: a, networks: [front, back] }"#,
            "fbb0ac8c32b662fd61f2f6b32f1b02df63dafd1d1bad3fa903f2454a9afafd95",
        ),
    ] {
        if hash_of(service) != hash {
            wrong.push(service);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_does_not_matter_to_a_container_does_not_change_its_hash() {
    let plain = hash_of("{ image: a }");
    for service in [
        "{ image: a, scale: 3 }",
        "{ image: a, build: /b }",
        "{ image: a, x-own: 1 }",
        "{ image: a, tty: false, labels: {}, cap_add: [] }",
    ] {
        assert_eq!(hash_of(service), plain, "{service}");
    }
    assert_ne!(hash_of("{ image: b }"), plain);
}

#[test]
fn networks_and_volumes_are_hashed_with_their_names() {
    let stack = desired(
        "services: { a: { image: a, networks: [front], volumes: [\"data:/d\", \"more:/m\"] } }
networks: { front: { internal: true, enable_ipv6: false, labels: { b: 1, a: 2 }, ipam: { config: [{ subnet: 10.0.0.0/24 }] } } }
volumes: { data: , more: { driver: nfs, driver_opts: { o: ro } } }
",
    );
    let sha256 =
        |text: &str| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        stack.networks[0].labels[CONFIG_HASH],
        sha256(
            r#"{"name":"shop_front","ipam":{"config":[{"subnet":"10.0.0.0/24"}]},"internal":true,"labels":{"a":"2","b":"1"},"enable_ipv6":false}"#
        )
    );
    assert_eq!(stack.volumes[0].labels[CONFIG_HASH], sha256(r#"{"name":"shop_data","driver":"local"}"#));
    assert_eq!(
        stack.volumes[1].labels[CONFIG_HASH],
        sha256(r#"{"name":"shop_more","driver":"nfs","driver_opts":{"o":"ro"}}"#)
    );
}
