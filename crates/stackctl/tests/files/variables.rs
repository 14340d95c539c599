//! Variables by which docker compose is told what to do, in the environment, in `.env` and in a
//! file that is named: which of them count, and where.

use crate::support::Files;

const ONE: &str =
    "services: {one: {image: a}, more: {image: a, profiles: [p]}, other: {image: a, profiles: [q]}}\n";

/// Lines of an environment file, further arguments, and what `config` then lists.
type Case<'a> = (&'a str, &'a [&'a str], &'a str);

fn files(dot_env: &str, named: &str) -> Files {
    Files::new(&[
        ("stack.yaml", ONE),
        ("two.yaml", "services: {two: {image: b}}\n"),
        ("three.yaml", "services: {three: {image: c}}\n"),
        (".env", dot_env),
        ("named.env", named),
        ("else.env", "COMPOSE_PROFILES=q\nCOMPOSE_FILE=three.yaml\n"),
    ])
}

const SERVICES: &[&str] = &["config", "--services"];

const CASES: &[Case<'_>] = &[
    ("", SERVICES, "one\n"),
    ("COMPOSE_PROFILES=p\n", SERVICES, "one\nmore\n"),
    ("COMPOSE_PROFILES=p, q\n", SERVICES, "one\nmore\nother\n"),
    ("COMPOSE_PROFILES=p\n", &["--profile", "q", "config", "--services"], "one\nmore\nother\n"),
    ("COMPOSE_FILE=two.yaml\n", SERVICES, "two\n"),
    ("COMPOSE_FILE=two.yaml:three.yaml\n", SERVICES, "two\nthree\n"),
    ("COMPOSE_FILE=two.yaml,three.yaml\nCOMPOSE_PATH_SEPARATOR=,\n", SERVICES, "two\nthree\n"),
    ("COMPOSE_FILE=two.yaml\n", &["-f", "three.yaml", "config", "--services"], "three\n"),
    ("COMPOSE_PROJECT_NAME=shop\n", &["config", "--no-normalize", "--format", "json", "--networks"], ""),
    // What says which environment files there are does not stand in one.
    ("COMPOSE_ENV_FILES=else.env\n", SERVICES, "one\n"),
    ("COMPOSE_PROFILES=p\nCOMPOSE_DISABLE_ENV_FILE=1\n", SERVICES, "one\nmore\n"),
];

#[test]
fn in_dot_env_and_in_a_named_file() {
    for (text, arguments, listed) in CASES {
        let ran = files(text, "").run(arguments, &[]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), *listed), ".env {text:?}: {}", ran.err);
        let ran = files("COMPOSE_PROFILES=q\n", text)
            .run(&[&["--env-file", "named.env"], *arguments].concat(), &[]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), *listed), "named {text:?}: {}", ran.err);
    }
}

#[test]
fn in_the_environment() {
    let own: &[(&[(&str, &str)], &str)] = &[
        (&[("COMPOSE_PROFILES", "q")], "one\nother\n"),
        (&[("COMPOSE_FILE", "three.yaml")], "three\n"),
        (&[("COMPOSE_ENV_FILES", "else.env")], "three\n"),
        (&[("COMPOSE_ENV_FILES", "else.env,named.env")], "two\n"),
        (&[("COMPOSE_DISABLE_ENV_FILE", "1")], "one\n"),
        (&[("COMPOSE_DISABLE_ENV_FILE", "true")], "one\n"),
        (&[("COMPOSE_DISABLE_ENV_FILE", "0")], "one\nmore\n"),
    ];
    for (environment, listed) in own {
        let ran = files("COMPOSE_PROFILES=p\n", "COMPOSE_FILE=two.yaml\n").run(SERVICES, environment);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), *listed), "{environment:?}: {}", ran.err);
    }
}

#[test]
fn the_name_of_the_project() {
    let name = |dot_env: &str, arguments: &[&str], environment: &[(&str, &str)]| {
        let ran = files(dot_env, "").run(&[arguments, &["config"]].concat(), environment);
        ran.out.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(name("COMPOSE_PROJECT_NAME=shop\n", &[], &[]), "name: shop");
    assert_eq!(name("COMPOSE_PROJECT_NAME=shop\n", &[], &[("COMPOSE_PROJECT_NAME", "mine")]), "name: mine");
    assert_eq!(name("COMPOSE_PROJECT_NAME=shop\n", &["-p", "given"], &[]), "name: given");
}

/// What docker compose reads of `.env` for itself, stackctl does, too: below the command line
/// and the environment.
#[test]
fn settings_of_the_program_itself() {
    for (variable, option) in [
        ("COMPOSE_PARALLEL_LIMIT", "--parallel"),
        ("COMPOSE_ANSI", "--ansi"),
        ("COMPOSE_PROGRESS", "--progress"),
    ] {
        let wrong = format!("{variable}=wrong\n");
        let ran = files(&wrong, "").run(SERVICES, &[]);
        assert_eq!(ran.code, Some(64), "{variable}");
        assert!(ran.err.contains(option) && ran.err.contains("wrong"), "{}", ran.err);
        let ran = files("", &wrong).run(&[&["--env-file", "named.env"], SERVICES].concat(), &[]);
        assert_eq!(ran.code, Some(64), "{variable} in a named file");
        let right = if variable == "COMPOSE_PARALLEL_LIMIT" { "3" } else { "auto" };
        assert_eq!(files(&wrong, "").run(SERVICES, &[(variable, right)]).code, Some(0), "{variable}");
        assert_eq!(
            files(&wrong, "").run(&[&[option, right], SERVICES].concat(), &[]).code,
            Some(0),
            "{option}"
        );
        assert_eq!(
            files(&format!("{variable}={right}\n"), "").run(SERVICES, &[]).code,
            Some(0),
            "{variable}"
        );
    }
}
