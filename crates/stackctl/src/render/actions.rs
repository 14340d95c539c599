//! What GitHub Actions is told besides: groups that fold, and annotations on file and line.

use stack_file::diagnostic::{Diagnostic, Severity};
use stack_file::source::Sources;

use super::say;
use crate::diagnose::Diagnosis;

/// Speaks to the runner of a job.
pub(super) struct Actions {
    open: bool,
}

impl Actions {
    /// `None` where no runner listens.
    pub(super) fn find() -> Option<Self> {
        is_listening().then_some(Self { open: false })
    }

    /// Begins a group for the lines of a plan.
    pub(super) fn open(&mut self, steps: usize) {
        self.close();
        if steps > 0 {
            let plural = if steps == 1 { "" } else { "s" };
            say(&format!("::group::stackctl: {steps} step{plural}"));
            self.open = true;
        }
    }

    /// Ends the group, so that what follows is not folded away.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            say("::endgroup::");
        }
    }

    /// Marks the line of the file that a failure has to do with.
    pub(super) fn annotate(&self, diagnosis: &Diagnosis, tolerated: bool) {
        let level = if tolerated { "warning" } else { "error" };
        let mut properties = vec![("title", format!("{} {}", diagnosis.address, diagnosis.what))];
        if let Some(place) = &diagnosis.declared {
            properties.push(("file", place.file.clone()));
            properties.push(("line", place.line.to_string()));
            properties.push(("col", place.column.to_string()));
        }
        let mut text = diagnosis.headline();
        for next in &diagnosis.next {
            text.push_str(&format!("\nnext: {next}"));
        }
        say(&command(level, &properties, &text));
    }
}

/// Whether the runner of a job reads what is written.
fn is_listening() -> bool {
    std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true")
}

/// Marks the lines that findings are about, where a runner listens.
pub(super) fn annotate_all(found: &[Diagnostic], sources: &Sources) {
    if !is_listening() {
        return;
    }
    for told in found {
        let level = match told.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut properties = Vec::new();
        if let Some(origin) = &told.origin {
            let place = sources.place(origin);
            properties.push(("file", place.file));
            properties.push(("line", place.line.to_string()));
            properties.push(("col", place.column.to_string()));
        }
        let help: String = told.help.iter().map(|help| format!("\n{help}")).collect();
        say(&command(level, &properties, &format!("{}{help}", told.message)));
    }
}

/// A workflow command; what would end it or a property of it is escaped.
fn command(name: &str, properties: &[(&str, String)], text: &str) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let properties: Vec<String> = (properties.iter())
        .map(|(key, value)| format!("{key}={}", escaped(value).replace(':', "%3A").replace(',', "%2C")))
        .collect();
    let gap = if properties.is_empty() { "" } else { " " };
    format!("::{name}{gap}{}::{}", properties.join(","), escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_be_ended_by_what_it_carries() {
        let told =
            command("error", &[("file", "a,b:c.yaml".to_owned()), ("line", "3".to_owned())], "50 %\n::end");
        assert_eq!(told, "::error file=a%2Cb%3Ac.yaml,line=3::50 %25%0A::end");
    }
}
