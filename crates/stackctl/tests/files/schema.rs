//! `stackctl schema`: what stackctl takes, the schema takes, and the other way round
//! for keys.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::Files;

fn schema() -> Value {
    let ran = Files::new(&[]).run(&["schema"], &[]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    serde_json::from_str(&ran.out).expect("JSON")
}

/// What of a value does not conform, with its path. Knows the keywords that the
/// schema uses, and no others.
fn faults(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let matched: Vec<&str> = match value {
        Value::Null => vec!["null"],
        Value::Bool(_) => vec!["boolean"],
        Value::Number(number) if number.is_f64() => vec!["number"],
        Value::Number(_) => vec!["integer", "number"],
        Value::String(_) => vec!["string"],
        Value::Array(_) => vec!["array"],
        Value::Object(_) => vec!["object"],
    };
    let schema = match schema {
        Value::Bool(true) => return found,
        Value::Bool(false) => return vec![format!("{path} is not allowed")],
        schema => schema.as_object().expect("a schema"),
    };
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "deprecated" | "doNotSuggest" | "patternProperties" => {}
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !types.iter().any(|one| matched.contains(&one.as_str().expect("a type"))) {
                    found.push(format!("{path}: {value} is not of type {rule}"));
                }
            }
            "not" => {
                assert_eq!(rule, &json!({}));
                found.push(format!("{path} is not supported"));
            }
            "enum" => {
                if !rule.as_array().expect("values").contains(value) {
                    found.push(format!("{path}: {value} is none of {rule}"));
                }
            }
            "minimum" => {
                let least = rule.as_f64().expect("a number");
                if value.as_f64().is_some_and(|number| number < least) {
                    found.push(format!("{path}: {value} is below {rule}"));
                }
            }
            "pattern" => {
                let form = Regex::new(rule.as_str().expect("a pattern")).expect("a regular expression");
                if value.as_str().is_some_and(|text| !form.is_match(text)) {
                    found.push(format!("{path}: {value} does not look like {form}"));
                }
            }
            "maximum" => {
                let most = rule.as_f64().expect("a number");
                if value.as_f64().is_some_and(|number| number > most) {
                    found.push(format!("{path}: {value} is above {rule}"));
                }
            }
            "anyOf" => {
                let all: Vec<_> =
                    rule.as_array().expect("forms").iter().map(|form| faults(form, value, path)).collect();
                if all.iter().all(|faults| !faults.is_empty()) {
                    found.extend(all.into_iter().flatten());
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(rule, item, &format!("{path}[{index}]")));
                }
            }
            "propertyNames" => {
                assert_eq!(rule, &json!({ "pattern": "^[a-zA-Z0-9._-]+$" }));
                for key in value.as_object().into_iter().flat_map(Map::keys) {
                    if !key.chars().all(|each| each.is_ascii_alphanumeric() || "._-".contains(each)) {
                        found.push(format!("{path}.{key} is no name"));
                    }
                }
            }
            "properties" => {
                for (key, below) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(key) {
                        found.extend(faults(rule, below, &format!("{path}.{key}")));
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                let extensions = schema.contains_key("patternProperties");
                for (key, below) in value.as_object().into_iter().flatten() {
                    if known.is_none_or(|known| known.get(key).is_none())
                        && !(extensions && key.starts_with("x-"))
                    {
                        found.extend(faults(rule, below, &format!("{path}.{key}")));
                    }
                }
            }
            other => panic!("the test does not know the keyword {other}"),
        }
    }
    found
}

/// A document as data: what `!reset` marks is left out, other tags are.
fn data(value: serde_yaml::Value) -> Option<Value> {
    use serde_yaml::Value as Yaml;
    Some(match value {
        Yaml::Tagged(tagged) if tagged.tag == "!reset" => return None,
        Yaml::Tagged(tagged) => return data(tagged.value),
        Yaml::Sequence(items) => Value::Array(items.into_iter().filter_map(data).collect()),
        Yaml::Mapping(entries) => {
            let text = |key: &Yaml| match key {
                Yaml::String(text) => text.clone(),
                other => serde_yaml::to_string(other).expect("a key").trim().to_owned(),
            };
            Value::Object(
                entries.into_iter().filter_map(|(key, value)| Some((text(&key), data(value)?))).collect(),
            )
        }
        other => serde_json::to_value(other).expect("a scalar"),
    })
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            let mut value = serde_yaml::Value::deserialize(document).expect("YAML");
            value.apply_merge().expect("merge keys");
            data(value).unwrap_or_default()
        })
        .filter(|document| !document.is_null())
        .collect()
}

/// The files of a case. Those below it are read in part, and may hold faults elsewhere.
fn stack_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml") {
            found.push(path);
        }
    }
}

#[test]
fn good_files_conform() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![top.join("stack.yaml")];
    for case in fs::read_dir(top.join("crates/stack-file/tests/cases")).expect("the cases") {
        let case = case.expect("a case").path();
        if case.join("expected.json").exists() {
            stack_files(&case, &mut files);
        }
    }
    assert!(files.len() > 25, "only {} files", files.len());
    let schema = schema();
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        for document in documents(&text) {
            let faults = faults(&schema, &document, "");
            found.extend(faults.iter().map(|fault| format!("{}: {fault}", file.display())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_stackctl_refuses_does_not_conform() {
    let schema = schema();
    for (text, fault) in [
        ("services: {a: {imagee: x}}", ".services.a.imagee is not allowed"),
        ("service: {}", ".service is not allowed"),
        ("services: {a: {tty: [true]}}", ".services.a.tty: [true] is not of type \"boolean\""),
        ("services: {a: {scale: -1}}", ".services.a.scale: -1 is below 0"),
        ("services: {\"a b\": {}}", ".services.a b is no name"),
        ("networks: {n: {ipam: {config: [{sub: x}]}}}", ".networks.n.ipam.config[0].sub is not allowed"),
    ] {
        let document = documents(text).remove(0);
        let found = faults(&schema, &document, "");
        assert!(found.iter().any(|found| found == fault), "{text}: {found:?}");
    }
}

/// Values that stand at one place, whether the schema and the loader take them.
#[test]
fn the_schema_and_the_loader_agree_about_texts() {
    let schema = schema();
    let mut wrong = Vec::new();
    let places: [(&str, &[&str], &[&str]); 14] = [
        (
            "stop_grace_period: {}",
            &["10s", "1m30s", "1.5h", "'0'", "500ms", ".5s", "2d", "'${T}'", "\"1w\""],
            &["10", "0", "1x", "-1s", "1.2.3s", "1 s", "[1s]", "'10'"],
        ),
        ("healthcheck: {{test: x, interval: {}}}", &["1m", "$T", "100us"], &["soon", "1", "s"]),
        (
            "shm_size: {}",
            &["64m", "1.5gb", "512 KiB", "4096", "'64'", "2GiB", "1b", "'${S:-1}m'"],
            &["-1", "1x", "ib", "m", "1ib", "'-1'", "64 mm"],
        ),
        ("memswap_limit: {}", &["-1", "'-1'", "1g"], &["-2", "1e", "g"]),
        (
            "ports: [{}]",
            &[
                "80",
                "'80'",
                "8080:80",
                "8000-8010:80",
                "127.0.0.1:8080:80",
                "'[::1]:80:80'",
                "'::1:80:80'",
                "80/udp",
                "80-81:80-81/TCP",
                "'127.0.0.1::80'",
                "'${P}:80'",
                "':80'",
            ],
            &["'80:'", "a:80", "80/icmp", "'80:80:80:80:x'", "70000", "-1", "localhost:80:80", "80-", "1.5"],
        ),
        ("ports: [{{target: 80, published: {}}}]", &["80", "'80-90'", "'$P'", "0"], &["a", "'80:80'", "-1"]),
        ("expose: [{}]", &["80", "'80-90'", "80/udp", "'$P'"], &["a", "80/icmp", "'80:80'", "-1"]),
        (
            "volumes: [{}]",
            &[
                "/a",
                "v:/a",
                "./a:/a:ro",
                "'/a:/a:rw,z'",
                "v:/a:nocopy",
                "'$V:/a'",
                "'v:/a:'",
                "'C:\\x:/a'",
                "'C:\\x:C:\\y:ro'",
            ],
            &["a", "v:a", "':/a'", "v:/a:rx", "a:/b:ro:x", "''", "'v:'"],
        ),
        ("init: {}", &["true", "no", "'YES'", "Off", "'$I'"], &["1", "'1'", "maybe", "2"]),
        ("scale: {}", &["0", "2", "'2'", "'$N'"], &["-1", "x", "1.5", "'1.5'"]),
        ("cpus: {}", &["0.5", "2", "'0.25'", "'$C'"], &["-1", "half", "'1,5'"]),
        ("ulimits: {{nofile: {}}}", &["1024", "'1024'", "'$L'", "-1"], &["many", "'1.5'"]),
        ("deploy: {{restart_policy: {{max_attempts: {}}}}}", &["3", "'3'"], &["-3", "three"]),
        ("secrets: [{{source: s, mode: {}}}]", &["0440", "'0440'", "'$M'"], &["'0999'", "rw"]),
    ];
    for (place, good, bad) in places {
        for (value, right) in
            good.iter().map(|value| (value, true)).chain(bad.iter().map(|value| (value, false)))
        {
            let attribute = place.replacen("{}", value, 1).replace("{{", "{").replace("}}", "}");
            let text = format!(
                "services: {{a: {{image: i, {attribute}}}}}\nvolumes: {{v: }}\nsecrets: {{s: {{file: ./s}}}}\n"
            );
            let variables = ["T", "P", "V", "I", "N", "C", "L", "M"].map(|name| match name {
                "T" => (name, "1s"),
                "V" => (name, "v"),
                "I" => (name, "true"),
                "M" => (name, "0400"),
                _ => (name, "1"),
            });
            let ran = Files::new(&[("stack.yaml", text.as_str())]).run(&["config", "-q"], &variables);
            if (ran.code == Some(0)) != right {
                wrong.push(format!("{attribute}: the loader says {:?}: {}", ran.code, ran.err));
            }
            let found = faults(&schema, &documents(&text).remove(0), "");
            if found.is_empty() != right {
                wrong.push(format!("{attribute}: the schema says {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn attributes_are_described_and_extensions_are_free() {
    let schema = schema();
    let service = &schema["properties"]["services"]["anyOf"][0]["additionalProperties"]["anyOf"][0];
    assert_eq!(service["properties"]["restart"]["description"], "When the engine restarts a container.");
    let text = "x-top: 1\nservices: {a: {x-own: [1], pull_policy: \"${WHEN}\"}}";
    assert_eq!(faults(&schema, &documents(text)[0], ""), Vec::<String>::new());
}
