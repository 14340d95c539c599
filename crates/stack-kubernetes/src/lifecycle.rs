//! Hooks and the signal that stops a container.

use serde_json::{Map, Value, json};
use stack_file::model::{Hook, Service};
use stack_file::source::Spanned;

use crate::manifests::{Manifests, put};

impl Manifests<'_> {
    pub(crate) fn lifecycle(&mut self, service: &Service) -> Value {
        let mut lifecycle = Map::new();
        for (key, attribute, hooks) in
            [("postStart", "post_start", &service.post_start), ("preStop", "pre_stop", &service.pre_stop)]
        {
            put(&mut lifecycle, key, self.hooks(service, attribute, hooks));
        }
        if let Some(signal) = &service.stop_signal {
            let name = signal_name(&signal.value);
            if name.is_none() {
                self.warn(
                    &signal.origin,
                    format!("services.{}.stop_signal", service.name.value),
                    "Kubernetes takes this for no signal",
                    "name it, as in SIGQUIT",
                );
            } else if name.as_deref() != Some("SIGTERM") {
                self.warn(
                    &signal.origin,
                    format!("services.{}.stop_signal", service.name.value),
                    "clusters without the feature ContainerStopSignals send the signal of the image",
                    "set STOPSIGNAL in the image, too",
                );
            }
            put(&mut lifecycle, "stopSignal", name.map(|name| json!(name)));
        }
        Value::Object(lifecycle)
    }

    /// Kubernetes runs one command: several go through a shell of the image.
    fn hooks(&mut self, service: &Service, attribute: &str, hooks: &[Spanned<Hook>]) -> Option<Value> {
        for (index, hook) in hooks.iter().enumerate() {
            let path = format!("services.{}.{attribute}[{index}]", service.name.value);
            if hook.user.is_some() || hook.privileged {
                self.warn(
                    &hook.origin,
                    path,
                    "Kubernetes runs hooks as the container's user, with its rights",
                    "leave out `user` and `privileged`, or let the container's user do it",
                );
            }
        }
        let command = match hooks {
            [] => return None,
            [hook] if hook.working_dir.is_none() && hook.environment.is_empty() => hook.command.clone(),
            several => {
                let script: Vec<String> = several.iter().map(|hook| script(hook)).collect();
                vec!["/bin/sh".to_owned(), "-c".to_owned(), script.join(" && ")]
            }
        };
        Some(json!({ "exec": { "command": command } }))
    }
}

/// A hook as a command of a shell, in one of its own where it has a directory or variables.
fn script(hook: &Hook) -> String {
    let mut parts = Vec::new();
    parts.extend(hook.working_dir.as_ref().map(|directory| format!("cd {}", quoted(directory))));
    for (name, value) in &hook.environment {
        parts.push(match &value.value {
            Some(value) => format!("export {}", quoted(&format!("{name}={value}"))),
            None => format!("unset {}", quoted(name)),
        });
    }
    let command: Vec<String> = hook.command.iter().map(|word| quoted(word)).collect();
    parts.push(command.join(" "));
    if parts.len() == 1 { parts.remove(0) } else { format!("({})", parts.join(" && ")) }
}

/// A word of a shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |each: char| each.is_ascii_alphanumeric() || "-_./:=@%+,".contains(each);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Signals that Kubernetes knows by name.
const SIGNALS: [(&str, u8); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

fn signal_name(signal: &str) -> Option<String> {
    let upper = signal.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if name.starts_with("RTMIN") || name.starts_with("RTMAX") {
        return Some(format!("SIG{name}"));
    }
    let found = SIGNALS.iter().find(|(known, number)| *known == name || number.to_string() == name);
    found.map(|(known, _)| format!("SIG{known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell() {
        assert_eq!(quoted("a-b/c"), "a-b/c");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn signals_by_name_and_number() {
        assert_eq!(signal_name("quit").as_deref(), Some("SIGQUIT"));
        assert_eq!(signal_name("SIGUSR1").as_deref(), Some("SIGUSR1"));
        assert_eq!(signal_name("15").as_deref(), Some("SIGTERM"));
        assert_eq!(signal_name("SIGRTMIN+3").as_deref(), Some("SIGRTMIN+3"));
        assert_eq!(signal_name("no"), None);
    }
}
