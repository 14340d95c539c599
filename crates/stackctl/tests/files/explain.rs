//! `stackctl explain`

use serde_json::{Value, json};

use crate::support::{Files, Ran};

const STACK: &str = "\
services:
  web:
    image: nginx:${TAG:-1}
    env_file: [app.env]
    environment:
      PORT: ${PORT:-80}
      MODE: dev
      HOST:
      BOTH: ${FROM_SHELL}-${PORT}
    command: [\"serve\", \"--all\"]
    labels: {com.example.team: shop}
    ports: [\"8080:80\"]
    volumes: [\"data:/data\"]
    depends_on: [db]
  db:
    image: db:1
  off:
    image: off:1
    profiles: [debug]
volumes: {data: {}}
";

const OVERRIDE: &str = "\
services:
  web:
    environment: [MODE=prod]
    command: !override [\"serve\"]
    volumes: [\"./here:/data\"]
    labels: !reset {}
";

fn run(arguments: &[&str]) -> Ran {
    let files = Files::new(&[
        ("stack.yaml", STACK),
        ("stack.override.yaml", OVERRIDE),
        (".env", "# ports\nPORT=planted-81\n"),
        ("app.env", "MODE=planted-test\nEXTRA=planted-extra\n"),
    ]);
    files.run(arguments, &[("FROM_SHELL", "planted-shell"), ("HOST", "planted-host")])
}

fn explained(arguments: &[&str]) -> String {
    let ran = run(&[&["explain"], arguments].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    ran.out
}

#[test]
fn a_value_of_the_file() {
    let told = "\
services.web.ports[0].published = 8080
  from       stack.yaml:12:13  ports: [\"8080:80\"]
";
    assert_eq!(explained(&["web.ports[0].published"]), told);
    assert_eq!(explained(&["services.web.ports[0].published"]), told);
}

#[test]
fn a_default_of_the_file() {
    assert_eq!(
        explained(&["web.image"]),
        "\
services.web.image = nginx:1
  from       stack.yaml:3:12  image: nginx:${TAG:-1}
  variable   TAG is not set: by its default
"
    );
}

#[test]
fn a_variable_is_named_and_its_value_is_hidden() {
    let told = |hidden: bool| {
        let (value, of) = match hidden {
            true => ("hidden: it comes from outside the file; --reveal shows it", ""),
            false => ("planted-81", " = planted-81"),
        };
        format!(
            "\
services.web.environment.PORT = {value}
  from       stack.yaml:6:13  PORT: ${{PORT:-80}}
  variable   PORT{of}, set in .env:2
"
        )
    };
    assert_eq!(explained(&["web.environment.PORT"]), told(true));
    assert_eq!(explained(&["web.environment.PORT", "--reveal"]), told(false));
}

#[test]
fn every_variable_of_a_value_and_who_set_it() {
    assert_eq!(
        explained(&["web.environment.BOTH", "web.environment.HOST", "--reveal"]),
        "\
services.web.environment.BOTH = planted-shell-planted-81
  from       stack.yaml:9:13  BOTH: ${FROM_SHELL}-${PORT}
  variable   FROM_SHELL = planted-shell, set in the environment
  variable   PORT = planted-81, set in .env:2

services.web.environment.HOST = planted-host
  from       stack.yaml:8:7  HOST:
  variable   HOST = planted-host, set in the environment
"
    );
}

#[test]
fn the_sources_of_a_variable_that_lost() {
    let files = Files::new(&[
        ("stack.yaml", "services: {web: {image: \"nginx:${TAG:-1}\", hostname: \"${NAME}\"}}\n"),
        ("a.env", "TAG=2\nNAME=planted-a\nTAG=3\n"),
        ("b.env", "TAG=4\n"),
    ]);
    let told = |arguments: &[&str], environment: &[(&str, &str)]| {
        let given = ["--env-file", "a.env", "--env-file", "b.env", "explain"];
        files.run(&[&given, arguments].concat(), environment).out
    };
    assert_eq!(
        told(&["web.image"], &[("TAG", "5")]),
        "\
services.web.image = nginx:5
  from       stack.yaml:1:25  services: {web: {image: \"nginx:${TAG:-1}\", hostname: \"${NAME}\"}}
  variable   TAG = 5, set in the environment
  not        4, set in b.env:1
  not        3, set in a.env:3
  not        2, set in a.env:1
"
    );
    let hidden = told(&["web.hostname"], &[("NAME", "planted-shell")]);
    assert!(hidden.contains("= planted-shell") && hidden.contains("not        planted-a, "), "{hidden}");
    let told: Value = serde_json::from_str(&told(&["web.image", "--json"], &[])).expect("JSON");
    assert_eq!(
        told["values"][0]["variables"][0]["in_vain"],
        json!([
            { "from": "env_file", "value": "3", "file": "a.env", "line": 3 },
            { "from": "env_file", "value": "2", "file": "a.env", "line": 1 },
        ])
    );
}

#[test]
fn what_an_extended_service_says() {
    let files = Files::new(&[
        (
            "stack.yaml",
            "services:\n  web:\n    extends: {file: base.yaml, service: base}\n    image: web:1\n",
        ),
        ("base.yaml", "services:\n  base:\n    image: base:1\n"),
    ]);
    assert_eq!(
        files.run(&["explain", "web.image"], &[]).out,
        "\
services.web.image = web:1
  from       stack.yaml:4:12  image: web:1
  overrides  base:1, from base.yaml:3:12  image: base:1
"
    );
}

#[test]
fn the_values_that_were_overridden_the_latest_first() {
    assert_eq!(
        explained(&["web.environment.MODE"]),
        "\
services.web.environment.MODE = prod
  from       stack.override.yaml:3:19  environment: [MODE=prod]
  overrides  dev, from stack.yaml:7:13  MODE: dev
  overrides  hidden, from app.env:1:1
"
    );
    assert_eq!(
        explained(&["web.command"]),
        "\
services.web.command[0] = serve
  from       stack.override.yaml:4:25  command: !override [\"serve\"]
  overrides  serve, from stack.yaml:10:15  command: [\"serve\", \"--all\"]
"
    );
}

#[test]
fn an_item_that_took_the_place_of_another() {
    assert_eq!(
        explained(&["web.volumes[0].source"]),
        "\
services.web.volumes[0].source = /here/here
  from       stack.override.yaml:5:15  volumes: [\"./here:/data\"]
  overrides  data, from stack.yaml:13:15  volumes: [\"data:/data\"]
"
    );
}

#[test]
fn a_value_that_no_file_says() {
    assert_eq!(
        explained(&["web.depends_on.db.condition"]),
        "\
services.web.depends_on.db.condition = service_started
  implied    stack.yaml:14:18  depends_on: [db]
"
    );
}

#[test]
fn the_name_of_the_project() {
    let files = Files::new(&[("a.yaml", "name: shop\nservices: {a: {image: \"a:1\"}}\n")]);
    let told = |more: &[&str], environment: &[(&str, &str)]| {
        files.run(&[&["-f", "a.yaml"], more, &["explain", "name"]].concat(), environment).out
    };
    assert_eq!(told(&[], &[]), "name = shop\n  from       a.yaml:1:7  name: shop\n");
    assert_eq!(
        told(&["-p", "other"], &[]),
        "name = other\n  given      with -p\n  overrides  shop, from a.yaml:1:7  name: shop\n"
    );
    assert_eq!(
        told(&[], &[("COMPOSE_PROJECT_NAME", "other")]),
        "\
name = other
  variable   COMPOSE_PROJECT_NAME = other, set in the environment
  overrides  shop, from a.yaml:1:7  name: shop
"
    );
    let files = Files::new(&[("dir/stack.yaml", "services: {a: {image: \"a:1\"}}\n")]);
    let told = files.run(&["-f", "dir/stack.yaml", "explain", "name"], &[]).out;
    assert!(told.starts_with("name = dir\n  implied  "), "{told}");
}

#[test]
fn nothing_from_outside_is_shown_unasked() {
    for form in [&["web"][..], &["web", "--json"]] {
        let told = explained(form);
        assert!(!told.contains("planted"), "{told}");
    }
}

#[test]
fn as_data() {
    let told: Value = serde_json::from_str(&explained(&["--json", "web.environment.MODE"])).expect("JSON");
    assert_eq!(
        told,
        json!({
            "schema": 1,
            "values": [{
                "path": "services.web.environment.MODE",
                "value": "prod",
                "hidden": false,
                "file": "stack.override.yaml",
                "line": 3,
                "column": 19,
                "end": { "line": 3, "column": 28 },
                "text": "environment: [MODE=prod]",
                "whence": "file",
                "doc": "Variables of the containers.",
                "variables": [],
                "overrides": [
                    {
                        "value": "dev",
                        "hidden": false,
                        "file": "stack.yaml",
                        "line": 7,
                        "column": 13,
                        "end": { "line": 7, "column": 16 },
                        "text": "MODE: dev",
                    },
                    {
                        "value": null,
                        "hidden": true,
                        "file": "app.env",
                        "line": 1,
                        "column": 1,
                        "end": { "line": 1, "column": 5 },
                        "text": null,
                    },
                ],
            }],
        })
    );
    let told: Value = serde_json::from_str(&explained(&["--json", "web.environment.PORT"])).expect("JSON");
    let expected = json!([{ "name": "PORT", "from": "env_file", "value": null, "file": ".env", "line": 2, "in_vain": [] }]);
    assert_eq!(told["values"][0]["variables"], expected);
    assert_eq!(told["values"][0]["value"], Value::Null);
}

#[test]
fn a_path_that_leads_nowhere() {
    for (path, told) in [
        ("wbe", "error: there is no service `wbe`\n  did you mean `web`?\n"),
        ("web.imagee", "error: `services.web` has no `imagee`\n  did you mean `image`?\n"),
        ("web.environment.MDOE", "error: `services.web.environment` has no `MDOE`\n  did you mean `MODE`?\n"),
        ("web.user", "error: the file sets no `user` for `services.web`\n  user: The user, by name or id.\n"),
        ("web.ports[3]", "error: `services.web.ports` has no item 3\n  it has one, which is [0]\n"),
        (
            "web.ports[x",
            "error: `services.web.ports[x` has a `[` that is not closed\n  count items of a list from 0: `ports[0]`\n",
        ),
        (
            "web.image.tag",
            "error: `services.web.image` is a single value: it has no `tag`\n  ask for it as a whole: services.web.image\n",
        ),
        (
            "web[0]",
            "error: `services.web` is not a list\n  it has: image, command, environment, ports, volumes, networks, depends_on\n",
        ),
        (
            "off.image",
            "error: the service `off` is not enabled by any profile\n  enable it with: --profile NAME\n",
        ),
        (
            "volumes.data",
            "error: the file has no `volumes` in the end, although stack.yaml gives one\n  a later file takes it out, or nothing uses it\n",
        ),
        (
            "web.labels",
            "error: `services.web` has no `labels` in the end, although stack.yaml gives one\n  a later file takes it out, or nothing uses it\n",
        ),
    ] {
        let ran = run(&["explain", path]);
        assert_eq!((ran.code, ran.err.as_str(), ran.out.as_str()), (Some(64), told, ""), "{path}");
    }
}

#[test]
fn keys_with_dots_and_the_top_level() {
    let files = Files::new(&[(
        "stack.yaml",
        "services:\n  a:\n    image: a:1\n    labels: {b.c: d, b: e}\nx-own: {f: [g]}\n",
    )]);
    let ran = files.run(&["explain", "a.labels.b.c", "a.labels.b", "x-own.f[0]"], &[]);
    assert_eq!(
        ran.out,
        "\
services.a.labels.b.c = d
  from       stack.yaml:4:19  labels: {b.c: d, b: e}

services.a.labels.b = e
  from       stack.yaml:4:25  labels: {b.c: d, b: e}

x-own.f[0] = g
  from       stack.yaml:5:13  x-own: {f: [g]}
"
    );
}

#[test]
fn a_value_cannot_move_the_cursor() {
    let long =
        format!("services:\n  a:\n    image: a:1\n    labels: {{b: \"x\\e[2Jy\", c: {}}}\n", "z".repeat(200));
    let files = Files::new(&[("stack.yaml", &long)]);
    let out = files.run(&["explain", "a.labels"], &[]).out;
    assert!(out.starts_with("services.a.labels.b = \"x\\u001b[2Jy\"\n"), "{out}");
    assert!(!out.contains('\u{1b}') && out.contains("zzz…\n"), "{out}");
}

#[test]
fn the_same_file_as_dot_env_and_as_env_file() {
    let stack = "services:\n  a:\n    image: a:1\n    env_file: .env\n    environment: {Q: $P}\n";
    let files = Files::new(&[("stack.yaml", stack), (".env", "P=1\n")]);
    assert_eq!(
        files.run(&["explain", "a.environment"], &[]).out,
        "\
services.a.environment.P = hidden: it comes from outside the file; --reveal shows it
  from       .env:1:1

services.a.environment.Q = hidden: it comes from outside the file; --reveal shows it
  from       stack.yaml:5:22  environment: {Q: $P}
  variable   P, set in .env:1
"
    );
}

#[test]
fn a_file_with_errors_is_refused_with_all_of_them() {
    let files = Files::new(&[("stack.yaml", "services:\n  a:\n    imagee: a\n")]);
    let ran = files.run(&["explain", "a.image"], &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(ran.err.contains("did you mean `image`?"), "{}", ran.err);
}
