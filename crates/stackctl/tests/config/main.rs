//! `stackctl config`, flag by flag. No engine is needed. What is expected was
//! compared with `docker compose config`.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const STACK: &str = r#"
name: shop
services:
  web:
    image: nginx:${TAG:-1.2}
    command: echo $$HOME
    environment: { A: b, N: , DB_PASSWORD: "${PW}" }
    env_file: app.env
    volumes: ["./html:/srv:ro", "data:/data"]
    networks: { front: { aliases: [www] } }
    depends_on: [db]
  db:
    image: pg
    build: { context: ., args: { Q: } }
    network_mode: host
  extra:
    image: extra:1
    profiles: [more]
    volumes: ["unused:/x"]
  alone:
    image: ${ALONE?say which}
    profiles: [never]
networks: { front: { internal: true }, spare: }
volumes: { data: , unused: }
x-own: { price: "5$$" }
"#;

struct Stack(tempfile::TempDir);

impl Stack {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        std::fs::write(directory.path().join("stack.yaml"), text).expect("a file");
        std::fs::write(directory.path().join("app.env"), "FROM_FILE=${A:-1}\n").expect("a file");
        std::fs::write(directory.path().join(".env"), "PW=s3\nALONE=one\n").expect("a file");
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackctl"));
        command.current_dir(self.path()).env_clear().env("HOME", "/home/ada").args(arguments);
        command.output().expect("stackctl runs")
    }

    /// What `config` writes with these flags.
    fn config(&self, flags: &[&str]) -> String {
        let output = self.run(&[&["config"], flags].concat());
        assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn json(&self, flags: &[&str]) -> Value {
        serde_json::from_str(&self.config(&[flags, &["--format", "json"]].concat())).expect("JSON")
    }

    /// How `config` refuses these flags: exit code and what it says.
    fn refused(&self, flags: &[&str]) -> (Option<i32>, String) {
        let output = self.run(&[&["config"], flags].concat());
        assert!(!output.status.success(), "{flags:?} is taken");
        assert_eq!(output.stdout, b"", "{flags:?}");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn lists_have_one_name_a_line() {
    let stack = Stack::new(STACK);
    for (flags, expected) in [
        (&["--services"][..], "db\nweb\n"),
        (&["--images"], "pg\nnginx:1.2\n"),
        (&["--images", "db"], "pg\n"),
        (&["--networks"], "front\n"),
        (&["--volumes"], "data\n"),
        (&["--profiles"], "more\nnever\n"),
        (&["--models"], ""),
        (&["--quiet"], ""),
        (&["--no-interpolate", "--services"], "web\ndb\nextra\nalone\n"),
    ] {
        assert_eq!(stack.config(flags), expected, "{flags:?}");
    }
    assert_eq!(stack.config(&["--services"]), {
        let output = stack.run(&["convert", "--services"]);
        String::from_utf8(output.stdout).expect("text")
    });
}

#[test]
fn what_is_shown_can_be_read_again() {
    let stack = Stack::new(STACK);
    let shown = stack.json(&[]);
    let web = &shown["services"]["web"];
    assert_eq!(web["command"], json!(["echo", "$$HOME"]));
    assert_eq!(web["environment"], json!({"FROM_FILE": "b", "A": "b", "N": null, "DB_PASSWORD": "s3"}));
    assert_eq!(shown["x-own"]["price"], "5$$");
    let yaml = stack.config(&[]);
    std::fs::write(stack.path().join("again.yaml"), &yaml).expect("a file");
    let again = stack.run(&["-f", "again.yaml", "config"]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), yaml);
}

#[test]
fn no_sign_of_a_text_is_lost_on_the_way_to_a_file() {
    let stack =
        Stack::new("services:\n  a:\n    image: x\n    command: [\"\\x01\\x1b[1m\\x7f\\u0085\\u00e9\"]\n");
    let value = stack.json(&[]);
    assert_eq!(value["services"]["a"]["command"][0], "\u{1}\u{1b}[1m\u{7f}\u{85}\u{e9}");
}

#[test]
fn named_services_bring_what_they_need_and_nothing_else() {
    let stack = Stack::new(STACK);
    let web = stack.json(&["web"]);
    assert_eq!(keys(&web["services"]).len(), 2);
    assert_eq!((keys(&web["networks"]), keys(&web["volumes"])), (vec!["front"], vec!["data"]));
    let db = stack.json(&["db"]);
    assert_eq!(keys(&db), ["name", "services", "x-own"]);
    let extra = stack.json(&["extra"]);
    assert_eq!(keys(&extra["services"]), ["extra"], "a service that is named needs no profile");
    assert_eq!((keys(&extra["networks"]), keys(&extra["volumes"])), (vec!["default"], vec!["unused"]));
    let (code, said) = stack.refused(&["wbe"]);
    assert_eq!(code, Some(64));
    assert!(said.contains("there is no service wbe") && said.contains("did you mean web?"), "{said}");
}

#[test]
fn variables_stay_when_they_are_not_wanted() {
    let stack = Stack::new(STACK);
    let shown = stack.json(&["--no-interpolate"]);
    let web = &shown["services"]["web"];
    assert_eq!(web["image"], "nginx:${TAG:-1.2}");
    assert_eq!(web["command"], "echo $$HOME");
    assert_eq!(web["environment"]["DB_PASSWORD"], "${PW}");
    assert_eq!(web["env_file"][0]["path"], stack.path().join("app.env").to_string_lossy().as_ref());
    assert_eq!(web["volumes"][0]["source"], stack.path().join("html").to_string_lossy().as_ref());
    assert_eq!(web["depends_on"]["db"]["condition"], "service_started");
    assert_eq!(shown["services"]["db"]["build"]["args"], json!({}));
    assert_eq!(shown["networks"]["spare"]["name"], "shop_spare");
    assert_eq!(keys(&shown["services"]).len(), 4, "profiles leave nothing out");
    let (code, said) = stack.refused(&["--no-interpolate", "web"]);
    assert_eq!(code, Some(64));
    assert!(said.contains("leave out the services"), "{said}");
}

#[test]
fn short_forms_with_variables_are_taken_as_they_are() {
    let stack = Stack::new(
        "services:
  a:
    image: a
    ports: [\"${P}:80\", 90]
    volumes: [\"${SRC:-/dev/null}:/y:ro\", \"./${D}:/z\", /anon]
    build: ${CTX:-.}
",
    );
    let a = &stack.json(&["--no-interpolate"])["services"]["a"];
    assert_eq!(a["ports"], json!(["${P}:80", 90]));
    let kinds = a["volumes"].as_array().expect("mounts").iter().map(|mount| &mount["type"]);
    assert_eq!(kinds.collect::<Vec<_>>(), ["volume", "bind", "volume"]);
    assert_eq!(a["volumes"][0]["source"], "${SRC:-/dev/null}");
    assert_eq!(a["build"]["context"], stack.path().join("${CTX:-.}").to_string_lossy().as_ref());
}

#[test]
fn what_is_implied_is_left_out_on_demand() {
    let stack = Stack::new(STACK);
    let shown = stack.json(&["--no-normalize"]);
    assert_eq!(shown["networks"]["front"], json!({"internal": true, "ipam": {}}));
    assert_eq!(shown["volumes"]["data"], json!({}));
    let build = &shown["services"]["db"]["build"];
    assert_eq!((keys(build), &build["args"]), (vec!["context", "args"], &json!({"Q": null})));
    assert_eq!(shown["services"]["web"]["depends_on"]["db"]["condition"], "service_started");

    let shown = stack.json(&["--no-path-resolution"]);
    assert_eq!(shown["services"]["web"]["volumes"][0]["source"], "./html");
    assert_eq!(shown["services"]["db"]["build"]["context"], ".");
    assert_eq!(shown["services"]["web"]["environment"]["FROM_FILE"], "b", "the file is found all the same");

    let shown = stack.json(&["--no-env-resolution"]);
    assert_eq!(shown["services"]["web"]["environment"]["FROM_FILE"], Value::Null);
    assert_eq!(
        shown["services"]["web"]["env_file"][0]["path"],
        stack.path().join("app.env").to_string_lossy().as_ref()
    );
}

#[test]
fn parts_that_do_not_fit_together_are_shown_on_demand() {
    let stack =
        Stack::new("services: { a: { image: a, networks: [nope], depends_on: [gone] }, b: { command: x } }");
    assert_eq!(stack.refused(&[]).0, Some(3));
    let shown = stack.json(&["--no-consistency"]);
    assert_eq!(keys(&shown["services"]["a"]["networks"]), ["nope"]);
    assert_eq!(keys(&shown["services"]["a"]["depends_on"]), ["gone"]);
}

#[test]
fn variables_are_listed_with_and_without_values() {
    let stack = Stack::new(STACK);
    assert_eq!(
        stack.config(&["--environment"]),
        "ALONE=one\nCOMPOSE_PROJECT_NAME=shop\nHOME=/home/ada\nPW=s3\n",
        "nothing is hidden from programs"
    );
    let table = stack.config(&["--variables"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "REQUIRED", "DEFAULT", "VALUE", "ALTERNATE", "VALUE"]);
    assert_eq!(rows[1..], [vec!["ALONE", "true"], vec!["PW", "false"], vec!["TAG", "false", "1.2"]]);
    assert_eq!(
        stack.json(&["--variables"])["TAG"],
        json!({"Name": "TAG", "DefaultValue": "1.2", "PresenceValue": "", "Required": false})
    );
}

#[test]
fn hashes_are_those_of_docker_compose() {
    let stack = Stack::new("services: { b: { image: a }, a: { image: a, network_mode: host } }");
    let a = "a 1d78b491934e7d4f5a84618586177abf4364d49f2b1df4f97fee654c9c6b8bec\n";
    let b = "b ead32641ace023dfb5148a9f4e8937d023a3b7fcc8af8f3e47f76229311a2be6\n";
    assert_eq!(stack.config(&["--hash", "*"]), format!("{a}{b}"));
    assert_eq!(stack.config(&["--hash", "b"]), b);
    let (code, said) = stack.refused(&["--hash", "b,nope"]);
    assert_eq!(code, Some(64));
    assert!(said.contains("there is no service nope"), "{said}");
}

#[test]
fn a_file_takes_what_standard_output_would() {
    let stack = Stack::new(STACK);
    assert_eq!(stack.config(&["-o", "out.yaml"]), "");
    let written = std::fs::read_to_string(stack.path().join("out.yaml")).expect("a file");
    assert_eq!(written, stack.config(&[]));
}

#[test]
fn what_cannot_be_done_is_refused() {
    let stack = Stack::new(STACK);
    for (flags, says) in [
        (&["--lock-image-digests", "--services"][..], "exclude each other"),
        (&["--format", "xml"], "there are: yaml, json"),
        (&["--services", "--images"], "exclude each other"),
    ] {
        let (code, said) = stack.refused(flags);
        assert_eq!(code, Some(64), "{flags:?}");
        assert!(said.contains(says), "{flags:?}: {said}");
    }
}

#[test]
fn what_no_service_uses_is_there_where_all_is_asked_for() {
    let stack = Stack::new(
        "services: { a: { image: a } }\nnetworks: { spare: {} }\nvolumes: { spare: {} }\nconfigs: { spare: { content: x } }\n",
    );
    assert!(!stack.config(&[]).contains("spare"));
    assert_eq!(stack.config(&["--networks"]), "default\n");
    let all = stack.config(&["--all-resources"]);
    for kind in ["networks", "volumes", "configs"] {
        assert!(all.contains(&format!("{kind}:\n")) && all.matches("_spare").count() == 3, "{all}");
    }
    assert_eq!(stack.config(&["--all-resources", "--volumes"]), "spare\n");
}
