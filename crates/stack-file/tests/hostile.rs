//! Input that nobody meant well: nothing panics, and limits hold.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use proptest::prelude::*;
use stack_file::draw::draw;
use stack_file::load::{Loaded, Request, load, project_name_of};
use stack_file::source::SIZE_LIMIT;

fn read(text: &str) -> Loaded {
    let environment = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
    load(&request(text, &environment, PathBuf::from("/nowhere/at/all")))
}

fn request<'a>(text: &'a str, environment: &'a BTreeMap<String, String>, directory: PathBuf) -> Request<'a> {
    Request {
        files: vec!["-".into()],
        directory,
        project_directory: None,
        project_name: Some("demo".to_owned()),
        env_files: Vec::new(),
        profiles: Vec::new(),
        environment,
        stdin: Some(text),
    }
}

fn messages(loaded: &Loaded) -> Vec<&str> {
    loaded.diagnostics.iter().map(|told| told.message.as_str()).collect()
}

/// Attributes with values of every kind, right and wrong.
fn file() -> impl Strategy<Value = String> {
    let attribute = prop_oneof![
        Just("image"),
        Just("build"),
        Just("ports"),
        Just("volumes"),
        Just("environment"),
        Just("command"),
        Just("depends_on"),
        Just("networks"),
        Just("healthcheck"),
        Just("deploy"),
        Just("ulimits"),
        Just("extra_hosts"),
        Just("expose"),
        Just("restart"),
        Just("env_file"),
        Just("labels"),
        Just("scale"),
        Just("network_mode"),
        Just("mem_limit"),
        Just("stop_grace_period"),
        Just("logging"),
        Just("tmpfs"),
        Just("unknown"),
        Just("<<"),
        Just("x-own"),
        Just("profiles"),
        Just("container_name"),
        Just("user"),
        Just("extends"),
    ];
    let value = prop_oneof![
        Just("a"),
        Just("80"),
        Just("[80, \"1:2\"]"),
        Just("{a: 1, b: [c]}"),
        Just("[]"),
        Just("{}"),
        Just(""),
        Just("true"),
        Just("1.5"),
        Just("[a, b]"),
        Just("{test: a, disable: true}"),
        Just("service:a"),
        Just("{service: b}"),
        Just("{service: c, file: gone.yaml}"),
        Just("[{type: bind, source: ./a, target: /b}]"),
        Just("{context: ., args: [A, B=$A]}"),
        Just("!reset null"),
        Just("!override [a]"),
        Just("\"$A ${B:-c} $$\""),
        Just("&x {a: *x}"),
        Just("{a: {condition: service_healthy}}"),
        Just("{resources: {limits: {memory: 1g}}, replicas: 2}"),
        Just("{nofile: 5}"),
        Just("[a: b]"),
        Just("1m30s"),
        Just("{default: {aliases: [b]}, n: }"),
        Just("[\"v:/x\", \"./a:/b:ro\", /c]"),
        Just("\"ä→\""),
    ];
    proptest::collection::vec((0..3_usize, attribute, value), 0..12).prop_map(|lines| {
        let mut services = [String::new(), String::new(), String::new()];
        for (service, name, value) in lines {
            let _ = writeln!(services[service], "    {name}: {value}");
        }
        let [a, b, c] = services;
        format!("services:\n  a:\n{a}  b:\n{b}  c:\n{c}networks: {{n: {{}}}}\nvolumes: {{v: {{}}}}\n")
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ -~\n\tä]{0,200}") {
        let loaded = read(&text);
        let _ = draw(&loaded.diagnostics, &loaded.sources, true);
    }

    #[test]
    fn no_yaml_panics(text in "(services|web|image|[a-z]{1,3}|[0-9]{1,3}|:|: |\n|\n  |\n    |- |\\[|\\]|\\{|\\}|,|&a|\\*a|!reset|!override|<<: |\"|'|#|\\$|\\$\\{|\\||>|~|---\n){0,40}") {
        let loaded = read(&text);
        let _ = draw(&loaded.diagnostics, &loaded.sources, false);
    }

    #[test]
    fn no_file_panics_and_every_finding_is_drawn(text in file()) {
        let loaded = read(&text);
        let drawn = draw(&loaded.diagnostics, &loaded.sources, false);
        for told in &loaded.diagnostics {
            prop_assert!(!told.message.ends_with('.'), "{}", told.message);
            let first = told.message.lines().next().unwrap_or_default();
            prop_assert!(drawn.contains(first), "{first} is missing in {drawn}");
        }
        // The same text gives the same findings.
        let twice = read(&text);
        prop_assert_eq!(messages(&loaded), messages(&twice));
    }
}

/// Files that refer to each other, and now and then to nothing.
fn files() -> impl Strategy<Value = Vec<String>> {
    let include = prop_oneof![
        3 => Just(""),
        1 => Just("include: [0.yaml]\n"),
        2 => Just("include: [1.yaml, {path: [2.yaml, 1.yaml], env_file: gone.env}]\n"),
        2 => Just("include: [{path: 2.yaml, project_directory: ..}]\n"),
        1 => Just("include: {path: $A}\n"),
    ];
    let service = prop_oneof![
        2 => Just("{image: a, ports: [\"80\"]}"),
        2 => Just("{extends: b}"),
        2 => Just("{extends: {file: 1.yaml, service: a}, volumes: [\"./a:/a\"]}"),
        2 => Just("{extends: {file: 2.yaml, service: $B}, labels: !reset {}}"),
        1 => Just("{extends: {file: gone.yaml, service: c}, image: !override b}"),
        1 => Just("{extends: !reset c, build: {args: [A]}}"),
        1 => Just(""),
    ];
    let services = proptest::collection::vec(service, 3);
    let text = (include, services).prop_map(|(include, services)| {
        let names = ["a", "b", "c"];
        let lines = names.iter().zip(services).map(|(name, service)| format!("  {name}: {service}\n"));
        format!("{include}services:\n{}", lines.collect::<String>())
    });
    proptest::collection::vec(text, 3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_files_panic_and_every_finding_is_drawn(texts in files()) {
        let loaded = read_files(3, |index| texts[index].clone());
        let drawn = draw(&loaded.diagnostics, &loaded.sources, false);
        for told in &loaded.diagnostics {
            let first = told.message.lines().next().unwrap_or_default();
            prop_assert!(drawn.contains(first), "{first} is missing in {drawn}");
        }
        let services = loaded.stack.tree.get("services").and_then(|all| all.as_mapping());
        for (name, entry) in services.into_iter().flatten() {
            prop_assert!(entry.node.get("extends").is_none(), "{name} still extends");
        }
        prop_assert!(loaded.stack.tree.get("include").is_none());
    }
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    let loaded =
        read("services:\n  a:\n    image: b\n    \"\\e[31mred\": 1\n    scale: \"\\e]0;title\\a\"\n");
    assert_eq!(loaded.diagnostics.len(), 2);
    let drawn = draw(&loaded.diagnostics, &loaded.sources, false);
    assert!(!drawn.contains(|each: char| each.is_control() && each != '\n'), "{drawn:?}");
}

#[test]
fn depth_is_limited() {
    let deep = format!("x-a: {}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(messages(&read(&deep)), ["lists and mappings are nested more than 64 deep"]);
    let fine = format!("x-a: {}{}\nservices: {{a: {{image: b}}}}", "[".repeat(60), "]".repeat(60));
    assert!(!read(&fine).has_errors());
}

#[test]
fn size_is_limited() {
    let text = "#".repeat(usize::try_from(SIZE_LIMIT).expect("a size") + 1);
    assert_eq!(messages(&read(&text)), ["the stack file <stdin> cannot be read: it is larger than 16 MiB"]);
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("big.env"), &text).expect("written");
    let environment = BTreeMap::new();
    let loaded = load(&request(
        "services: {a: {image: b, env_file: big.env}}",
        &environment,
        directory.path().to_owned(),
    ));
    assert!(messages(&loaded)[0].ends_with("cannot be read: it is larger than 16 MiB"));
}

#[test]
fn a_long_circle_of_dependencies_is_told_once() {
    let mut text = String::from("services:\n");
    for index in 0..20_000 {
        let _ = writeln!(text, "  s{index}: {{image: a, depends_on: [s{}]}}", index + 1);
    }
    let _ = writeln!(text, "  s20000: {{image: a, depends_on: [s0]}}");
    let loaded = read(&text);
    assert_eq!(loaded.diagnostics.len(), 1);
    assert!(loaded.diagnostics[0].message.starts_with("these services wait for each other: s0 → s1 → "));
}

/// Loads `0.yaml` of files that are made by number.
fn read_files(count: usize, text: impl Fn(usize) -> String) -> Loaded {
    let directory = tempfile::tempdir().expect("a directory");
    for index in 0..count {
        std::fs::write(directory.path().join(format!("{index}.yaml")), text(index)).expect("written");
    }
    let environment = BTreeMap::new();
    let mut request = request("", &environment, directory.path().to_owned());
    request.files = vec!["0.yaml".into()];
    load(&request)
}

#[test]
fn includes_are_limited_in_depth() {
    let chain = |last: usize| {
        read_files(last + 1, |index| {
            let next = index + 1;
            let include = if index < last { format!("include: [{next}.yaml]\n") } else { String::new() };
            format!("{include}services: {{s{index}: {{image: a}}}}\n")
        })
    };
    let fine = chain(32);
    assert!(!fine.has_errors(), "{}", draw(&fine.diagnostics, &fine.sources, false));
    assert_eq!(fine.stack.services.len(), 33);
    assert_eq!(messages(&chain(33)), ["files include or extend each other more than 32 deep"]);
}

#[test]
fn includes_are_limited_in_number() {
    // Every file includes the next one twice: without a limit that would be 2²⁰ files.
    let loaded = read_files(21, |index| {
        let next = index + 1;
        let include =
            if index < 20 { format!("include: [{next}.yaml, {next}.yaml]\n") } else { String::new() };
        format!("{include}services: {{s{index}: {{image: a}}}}\n")
    });
    assert_eq!(messages(&loaded), ["the stack refers to more than 1000 files"]);
    assert!(loaded.sources.iter().count() <= 1_001);
}

#[test]
fn extended_files_are_limited_in_depth() {
    let loaded = read_files(41, |index| {
        let next = index + 1;
        let extends = if index < 40 {
            format!("extends: {{file: {next}.yaml, service: s}}")
        } else {
            "image: a".to_owned()
        };
        format!("services: {{s: {{{extends}}}}}\n")
    });
    assert_eq!(messages(&loaded), ["files include or extend each other more than 32 deep"]);
}

#[test]
fn extended_services_are_limited_together() {
    let mut text = String::from("services:\n  base:\n    image: a\n    environment:\n");
    for index in 0..1_000 {
        let _ = writeln!(text, "      V{index}: a");
    }
    for index in 0..2_000 {
        let _ = writeln!(text, "  s{index}: {{extends: base}}");
    }
    assert_eq!(messages(&read(&text)), ["includes and extended services add more than 1000000 values"]);
}

#[test]
fn merge_keys_that_lead_to_no_mapping_are_told_once() {
    let mut text = String::from("x-0: &a0 text\n");
    for index in 1..20 {
        let aliases = vec![format!("*a{}", index - 1); 20].join(", ");
        let _ = writeln!(text, "x-{index}: &a{index} {{<<: [{aliases}]}}");
    }
    let loaded = read(&text);
    let merges = messages(&loaded).into_iter().filter(|told| told.starts_with("`<<` takes a mapping"));
    assert_eq!(merges.count(), 20, "each place once");
    assert!(loaded.diagnostics.len() < 30, "{}", loaded.diagnostics.len());
}

#[test]
fn a_long_way_of_extends_is_followed() {
    let mut text = String::from("services:\n");
    for index in 0..5_000 {
        let _ = writeln!(text, "  s{index}: {{extends: s{}}}", index + 1);
    }
    text.push_str("  s5000: {image: a}\n");
    let loaded = read(&text);
    assert!(!loaded.has_errors(), "{}", draw(&loaded.diagnostics[..1], &loaded.sources, false));
    assert_eq!(loaded.stack.services["s0"].image.as_ref().map(|image| image.value.as_str()), Some("a"));
    let circle = text.replace("s5000: {image: a}", "s5000: {image: a, extends: s0}");
    let told = read(&circle);
    assert_eq!(told.diagnostics.len(), 1);
    assert!(told.diagnostics[0].message.starts_with("these services extend each other: s0 → s1 → "));
}

#[test]
fn values_come_from_the_files_that_say_them() {
    let loaded = read_files(3, |index| {
        match index {
            0 => {
                "include: [2.yaml]\nservices: {web: {extends: {file: 1.yaml, service: base}, hostname: h}}\n"
            }
            1 => "services: {base: {image: a, hostname: b, environment: {A: 1}}}\n",
            _ => "services: {api: {image: b}}\n",
        }
        .to_owned()
    });
    assert!(!loaded.has_errors(), "{}", draw(&loaded.diagnostics, &loaded.sources, false));
    let place = |origin: &stack_file::source::Origin| loaded.sources.place(origin).to_string();
    let web = &loaded.stack.services["web"];
    assert_eq!(place(&web.name.origin), "0.yaml:2:12");
    let tree = loaded.stack.written_service("web").expect("a service");
    assert_eq!(place(&tree.origin), "0.yaml:2:17");
    assert_eq!(web.hostname.as_ref().map(|name| place(&name.origin)).as_deref(), Some("0.yaml:2:68"));
    assert_eq!(web.image.as_ref().map(|image| place(&image.origin)).as_deref(), Some("1.yaml:1:26"));
    assert_eq!(place(&web.environment["A"].origin), "1.yaml:1:59");
    let api = &loaded.stack.services["api"];
    assert_eq!(place(&api.name.origin), "2.yaml:1:12");
    let image = api.image.as_ref().expect("an image");
    let way: Vec<_> = loaded.sources.referrers(image.origin.source).map(|each| place(&each.origin)).collect();
    assert_eq!(way, ["0.yaml:1:11"]);
}

#[test]
fn a_file_that_is_not_utf_8_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("stack.yaml"), b"services:\n  a: {image: \xff}\n").expect("written");
    let environment = BTreeMap::new();
    let mut request = request("", &environment, directory.path().to_owned());
    request.files = Vec::new();
    assert_eq!(messages(&load(&request)), ["the stack file stack.yaml cannot be read: line 2 is not UTF-8"]);
}

#[test]
fn missing_files_are_told_and_the_rest_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let environment = BTreeMap::new();
    let mut request = request("services: {a: {imag: b}}", &environment, directory.path().to_owned());
    request.files = vec!["gone.yaml".into(), "-".into()];
    request.env_files = vec!["gone.env".into()];
    let loaded = load(&request);
    let told = messages(&loaded);
    assert!(
        told[0].starts_with("the environment file ") && told[0].ends_with("there is no such file"),
        "{told:?}"
    );
    assert_eq!(told[1], "the stack file gone.yaml cannot be read: there is no such file");
    assert_eq!(told.last(), Some(&"a service has no attribute `imag`"));
}

#[test]
fn values_from_outside_stay_out_of_findings() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join(".env"), "FROM_FILE=planted-two\n").expect("written");
    let environment = BTreeMap::from([("SECRET".to_owned(), "planted-one".to_owned())]);
    let text = "services:\n  a:\n    image: b\n    scale: $SECRET\n    restart: $FROM_FILE\n    privileged: ${FROM_FILE}\n    \
                pull_policy: $SECRET\n    environment: ${SECRET}\n    stop_grace_period: $SECRET\n    mem_limit: $SECRET\n    \
                ports: [$SECRET]\n    volumes: [\"$SECRET:x:y:z\", \"$SECRET:/x\"]\n    command: \"$SECRET '\"\n    network_mode: $SECRET\n    \
                container_name: \"a $SECRET\"\n    expose: [$SECRET]\n    extra_hosts: [$SECRET]\n";
    let loaded = load(&request(text, &environment, directory.path().to_owned()));
    let drawn = draw(&loaded.diagnostics, &loaded.sources, false);
    assert!(loaded.diagnostics.len() >= 12, "{drawn}");
    assert!(!drawn.contains("planted"), "{drawn}");
}

#[test]
fn the_name_is_known_without_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut environment = BTreeMap::new();
    let known = |environment: &BTreeMap<String, String>, name: Option<&str>| {
        let mut request = request("", environment, directory.path().to_owned());
        request.project_name = name.map(str::to_owned);
        project_name_of(&request)
    };
    assert_eq!(known(&environment, None), None);
    assert_eq!(known(&environment, Some("given")), Some("given".to_owned()));
    assert_eq!(known(&environment, Some("Not Good")), None);
    std::fs::write(directory.path().join(".env"), "COMPOSE_PROJECT_NAME=in-file\n").expect("written");
    assert_eq!(known(&environment, None), Some("in-file".to_owned()));
    environment.insert("COMPOSE_PROJECT_NAME".to_owned(), "in-process".to_owned());
    assert_eq!(known(&environment, None), Some("in-process".to_owned()));
    assert_eq!(known(&environment, Some("given")), Some("given".to_owned()));
}

#[test]
fn a_stack_of_five_hundred_services_loads() {
    let loaded = read(&five_hundred());
    assert_eq!(loaded.stack.services.len(), 500);
    assert!(!loaded.has_errors(), "{}", draw(&loaded.diagnostics, &loaded.sources, false));
}

fn five_hundred() -> String {
    let mut text = String::from("x-check: &check {test: [CMD, probe], interval: 5s}\nservices:\n");
    for index in 0..500 {
        let _ = write!(
            text,
            "  s{index}:\n    image: registry.example/app:${{A:-1}}\n    ports: [\"{}:80\"]\n    volumes: [\"./d{index}:/d:ro\", \"v:/v\"]\n    \
             environment: {{NAME: s{index}, LEVEL: info, URL: \"http://s{index}:80/\"}}\n    healthcheck: *check\n    \
             labels: [a=b, c=d]\n    deploy: {{resources: {{limits: {{memory: 64m}}}}}}\n    networks: [n]\n",
            10_000 + index
        );
        if index > 0 {
            let _ = writeln!(text, "    depends_on: {{s{}: {{condition: service_healthy}}}}", index - 1);
        }
    }
    text.push_str("networks: {n: }\nvolumes: {v: }\n");
    text
}
