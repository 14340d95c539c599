//! What tests left on the engine. It is looked at, never removed: it may tell why.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::engine::Engine;

const PROJECT: &str = "com.docker.compose.project";

/// How long a removal that was asked for may take to show.
const GRACE: Duration = Duration::from_secs(5);

/// The containers, networks and volumes of test projects: what each is, by its id.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resources(BTreeMap<String, String>);

impl Resources {
    /// Looks at what is there now.
    pub(super) fn of_tests(engine: &Engine) -> Result<Self> {
        let list = |path: &str| engine.get(path)?.with_context(|| format!("GET {path}: nothing there"));
        let mut found = Self::default();
        found.add("container", &list("/containers/json?all=true")?);
        found.add("network", &list("/networks")?);
        found.add("volume", &list("/volumes")?["Volumes"]);
        Ok(found)
    }

    fn add(&mut self, kind: &str, list: &Value) {
        for item in list.as_array().into_iter().flatten() {
            let project = item["Labels"][PROJECT].as_str().filter(|project| is_of_tests(project));
            let (Some(project), Some(id)) = (project, item["Id"].as_str().or(item["Name"].as_str())) else {
                continue;
            };
            let name = item["Names"][0].as_str().or(item["Name"].as_str()).unwrap_or(id);
            let text = format!("{kind} {} of project {project}", name.trim_start_matches('/'));
            self.0.insert(format!("{kind} {id}"), text);
        }
    }

    /// Errors if there is more now than there was.
    pub(super) fn nothing_since(&self, engine: &Engine) -> Result<()> {
        let begun = Instant::now();
        loop {
            let new = Self::of_tests(engine)?.without(self);
            if new.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > GRACE {
                bail!("tests left things on the engine:\n  {}", new.join("\n  "));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn without(self, before: &Self) -> Vec<String> {
        self.0.into_iter().filter(|(id, _)| !before.0.contains_key(id)).map(|(_, text)| text).collect()
    }
}

/// Whether a project's name is one that tests make: `t`, and the tail of a temporary directory.
fn is_of_tests(project: &str) -> bool {
    project.strip_prefix("ttmp").is_some_and(|tail| {
        tail.len() == 6 && tail.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_projects_of_tests_count() {
        assert!(is_of_tests("ttmpab12cd"));
        for other in ["rooms", "ttmp", "ttmpab12cde", "tools", "ttmpab-2cd"] {
            assert!(!is_of_tests(other), "{other}");
        }
        // The name is made as the scenarios make theirs.
        let directory = tempfile::tempdir().expect("a directory");
        let tail = directory.path().file_name().expect("a name").to_string_lossy().to_lowercase();
        assert!(is_of_tests(&format!("t{}", tail.trim_start_matches('.'))), "{tail}");
    }

    #[test]
    fn what_is_new_is_named_and_what_was_there_is_not() {
        let labels = json!({ "com.docker.compose.project": "ttmpab12cd" });
        let mut before = Resources::default();
        before.add("container", &json!([{ "Id": "1", "Names": ["/old"], "Labels": labels }]));
        let mut now = Resources::default();
        now.add("container", &json!([{ "Id": "1", "Names": ["/old"], "Labels": labels }]));
        now.add("container", &json!([{ "Id": "2", "Names": ["/else"], "Labels": { "a": "b" } }]));
        now.add(
            "network",
            &json!([{ "Id": "3", "Name": "net", "Labels": labels }, { "Id": "4", "Labels": null }]),
        );
        now.add("volume", &json!([{ "Name": "data", "Labels": labels }]));
        now.add("volume", &Value::Null);
        assert_eq!(
            now.without(&before),
            ["network net of project ttmpab12cd", "volume data of project ttmpab12cd"]
        );
    }
}
