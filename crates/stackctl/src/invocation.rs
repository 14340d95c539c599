//! The name under which the program was called: its own, `docker-compose`, or as the
//! plugin that `docker compose` runs.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::OnceLock;

use serde_json::json;

/// The docker compose release whose commands, flags and output are taken for the measure:
/// clients that ask for a version before they go on get this one.
pub(crate) const COMPOSE_LEVEL: &str = "2.40.3";

/// Under which name the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// `stackctl`, or any other name.
    Stackctl,
    /// `docker-compose`, by a link.
    DockerCompose,
    /// `docker compose`: docker runs the link as its plugin.
    Plugin,
}

static NAME: OnceLock<Name> = OnceLock::new();

/// The name of this run.
pub(crate) fn name() -> Name {
    NAME.get().copied().unwrap_or(Name::Stackctl)
}

/// A command line as stackctl's own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The name that it was called by.
    pub(crate) name: Name,
    /// All words, that of the program first.
    pub(crate) words: Vec<OsString>,
    /// The folder of docker's configuration, where docker was told one.
    pub(crate) docker_config: Option<OsString>,
}

impl Invocation {
    /// Takes a command line apart, and keeps its name for the rest of the run.
    pub(crate) fn of(words: Vec<OsString>) -> Result<Self, String> {
        let invocation = Self::read(words)?;
        let _ = NAME.set(invocation.name);
        Ok(invocation.with_version())
    }

    /// docker compose tells its own version where an option asks for one.
    fn with_version(mut self) -> Self {
        if self.name != Name::Stackctl
            && let Some(word) = self.words.get_mut(1).filter(|word| *word == "-v" || *word == "--version")
        {
            *word = "version".into();
        }
        self
    }

    fn read(mut words: Vec<OsString>) -> Result<Self, String> {
        let called = words.first().map(Path::new).and_then(Path::file_stem);
        if called != Some(OsStr::new("docker-compose")) {
            return Ok(Self { name: Name::Stackctl, words, docker_config: None });
        }
        let rest = words.split_off(1);
        let mut docker_config = None;
        // What docker itself was told stands before the word `compose`.
        let mut told = Vec::new();
        let mut rest = rest.into_iter();
        while let Some(word) = rest.next() {
            let text = word.to_string_lossy().into_owned();
            let (option, inline) = match text.split_once('=') {
                Some((option, value)) => (option.to_owned(), Some(OsString::from(value))),
                None => (text.clone(), None),
            };
            let ours = match option.as_str() {
                "compose" if inline.is_none() => {
                    words.extend(told.drain(..).flat_map(|(ours, _): (Vec<OsString>, _)| ours));
                    words.extend(rest);
                    return Ok(Self { name: Name::Plugin, words, docker_config });
                }
                "-H" | "--host" => "-H",
                "-c" | "--context" => "--context",
                "--config" => "--docker-config",
                // How much docker says of itself is nothing to us.
                "-l" | "--log-level" => "",
                "-D" | "--debug" => {
                    told.push((Vec::new(), vec![word]));
                    continue;
                }
                "--tls" | "--tlsverify" | "--tlscacert" | "--tlscert" | "--tlskey" => {
                    return Err(format!(
                        "{option} of docker is not passed on; use a context, or DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"
                    ));
                }
                _ => {
                    // No option of docker: this is the command line of docker-compose.
                    words.extend(told.into_iter().flat_map(|(_, as_it_was)| as_it_was));
                    words.push(word);
                    words.extend(rest);
                    return Ok(Self { name: Name::DockerCompose, words, docker_config: None });
                }
            };
            let mut as_it_was = vec![word];
            let value = match inline {
                Some(value) => value,
                None => {
                    let Some(value) = rest.next() else {
                        told.push((Vec::new(), as_it_was));
                        break;
                    };
                    as_it_was.push(value.clone());
                    value
                }
            };
            match ours {
                "" => told.push((Vec::new(), as_it_was)),
                "--docker-config" => {
                    docker_config = Some(value);
                    told.push((Vec::new(), as_it_was));
                }
                ours => told.push((vec![ours.into(), value], as_it_was)),
            }
        }
        words.extend(told.into_iter().flat_map(|(_, as_it_was)| as_it_was));
        Ok(Self { name: Name::DockerCompose, words, docker_config: None })
    }

    /// Whether docker asks what this plugin is.
    pub(crate) fn asks_for_metadata(&self) -> bool {
        self.name != Name::Stackctl
            && self.words.get(1).is_some_and(|word| word == "docker-cli-plugin-metadata")
    }
}

/// What a plugin tells docker of itself.
pub(crate) fn metadata() -> String {
    json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "stackctl",
        "Version": format!("v{COMPOSE_LEVEL}"),
        "ShortDescription": concat!("Docker Compose, by stackctl ", env!("CARGO_PKG_VERSION")),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> (Name, String) {
        let words = words.split(' ').map(OsString::from).collect();
        let read = Invocation::read(words).expect("a command line");
        let words: Vec<_> = read.words.iter().skip(1).map(|word| word.to_string_lossy()).collect();
        (read.name, words.join(" "))
    }

    #[test]
    fn docker_hands_over_what_it_was_told() {
        for (typed, name, ours) in [
            ("/usr/bin/stackctl compose", Name::Stackctl, "compose"),
            ("docker-compose -f x up", Name::DockerCompose, "-f x up"),
            ("/opt/docker-compose -H tcp://a ps", Name::DockerCompose, "-H tcp://a ps"),
            ("docker-compose compose -f x up", Name::Plugin, "-f x up"),
            ("docker-compose --context far -D compose ps", Name::Plugin, "--context far ps"),
            ("docker-compose --host=tcp://a --config /c compose ps", Name::Plugin, "-H tcp://a ps"),
            ("docker-compose -l info compose run web compose", Name::Plugin, "run web compose"),
            ("docker-compose", Name::DockerCompose, ""),
            ("docker-compose run web compose", Name::DockerCompose, "run web compose"),
            ("docker-compose --context", Name::DockerCompose, "--context"),
        ] {
            assert_eq!(read(typed), (name, ours.to_owned()), "{typed}");
        }
    }

    #[test]
    fn the_folder_of_the_configuration_is_kept() {
        let words = ["docker-compose", "--config", "/c", "compose", "ps"].map(OsString::from).to_vec();
        assert_eq!(Invocation::read(words).expect("words").docker_config, Some("/c".into()));
        let words = ["docker-compose", "--tlsverify", "compose", "ps"].map(OsString::from).to_vec();
        assert!(Invocation::read(words).is_err());
    }

    #[test]
    fn docker_learns_what_the_plugin_is() {
        let words = ["docker-compose", "docker-cli-plugin-metadata"].map(OsString::from).to_vec();
        assert!(Invocation::read(words).expect("words").asks_for_metadata());
        let told: serde_json::Value = serde_json::from_str(&metadata()).expect("JSON");
        assert_eq!(told["SchemaVersion"], "0.1.0");
    }
}
