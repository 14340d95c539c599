//! Images pinned to the digests that a registry tells.

use crate::registry::{CREDENTIALS, Registry};
use crate::support::Project;

#[test]
fn images_must_be_pinned_to_what_their_registry_tells() {
    let registry = Registry::start(true);
    let digest = registry.push("a/b", "1");
    let place = &registry.place;
    let other = format!("sha256:{}", "0".repeat(64));
    let stack = format!(
        "services:\n  one: {{ image: '{place}/a/b:1' }}\n  two: {{ image: '{place}/a/b:1', build: . }}\n  \
         built: {{ build: . }}\n  fixed: {{ image: '{place}/a/b:9@{other}' }}\n"
    );
    let mut project = Project::new(&stack);
    let docker = project.directory.path().join("docker");
    std::fs::create_dir(&docker).expect("a folder");
    project.env("DOCKER_CONFIG", docker.display());

    let refused = project.run(&["config", "--resolve-image-digests"]).exits(1);
    refused.says("the image of one cannot be pinned").says("docker login");

    let auths = format!(r#"{{"auths":{{"{place}":{{"auth":"{CREDENTIALS}"}}}}}}"#);
    std::fs::write(docker.join("config.json"), auths).expect("a file");
    let shown = project.run(&["config", "--resolve-image-digests", "--format", "json"]).exits(0);
    let shown: serde_json::Value = serde_json::from_str(&shown.out).expect("JSON");
    let image = |name: &str| shown["services"][name]["image"].clone();
    assert_eq!(image("one"), format!("{place}/a/b:1@{digest}"));
    assert_eq!(image("two"), image("one"));
    assert_eq!(image("built"), serde_json::Value::Null);
    assert_eq!(image("fixed"), format!("{place}/a/b@{other}"));

    let lock = project.run(&["config", "--lock-image-digests"]).exits(0).out;
    let lines: Vec<&str> = lock.lines().collect();
    let pinned = format!("    image: {place}/a/b:1@{digest}");
    let fixed = format!("    image: {place}/a/b@{other}");
    assert_eq!(lines, ["services:", "  one:", &pinned, "  two:", &pinned, "  fixed:", &fixed]);

    project.write(&format!("services: {{ one: {{ image: '{place}/a/b:2' }} }}\n"));
    let refused = project.run(&["config", "--lock-image-digests"]).exits(1);
    refused.says(&format!("{place} has no {place}/a/b:2"));
    project.write("services: { one: { image: 'a:${TAG}' } }\n");
    let refused = project.run(&["config", "--lock-image-digests", "--no-interpolate"]);
    refused.says("the image of one has variables").says("leave out --no-interpolate");
}
