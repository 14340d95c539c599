//! What a build tells of its steps.

use std::collections::{HashMap, VecDeque};
#[cfg(feature = "buildkit")]
use std::time::Duration;
use std::time::Instant;

use bollard::models::BuildInfo;

use crate::image::build::{BuildError, BuildProgress};

/// How many lines of output a failure keeps.
const KEPT_LINES: usize = 40;

/// The steps of a build, as far as they are known.
#[derive(Default)]
pub(super) struct Steps {
    /// Name and whether it was told that it has begun and ended, by digest.
    known: HashMap<String, Known>,
    failed: Option<String>,
    /// What the classic builder is at.
    classic: Classic,
}

/// A step of the classic builder, which does one after the other and tells them among what
/// they print.
#[derive(Default)]
struct Classic {
    /// `None` before the first.
    name: Option<String>,
    /// Since when; `None` once it has ended.
    begun: Option<Instant>,
    /// Whether it was told that it has begun: not before it is known that it is not in the cache.
    told: bool,
    log: VecDeque<String>,
}

#[derive(Default)]
struct Known {
    name: String,
    begun: bool,
    ended: bool,
    log: VecDeque<String>,
    /// A line that has no end yet.
    part: String,
}

fn keep(log: &mut VecDeque<String>, line: String) {
    if log.len() == KEPT_LINES {
        log.pop_front();
    }
    log.push_back(line);
}

impl Steps {
    pub(super) fn take(&mut self, info: BuildInfo, progress: &mut (dyn FnMut(BuildProgress) + '_)) {
        for line in info.stream.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
            self.line(line, progress);
        }
        #[cfg(feature = "buildkit")]
        if let Some(bollard::models::BuildInfoAux::BuildKit(status)) = info.aux {
            self.status(status, progress);
        }
    }

    /// A line of the classic builder.
    fn line(&mut self, line: &str, progress: &mut (dyn FnMut(BuildProgress) + '_)) {
        let step = line.strip_prefix("Step ").and_then(|rest| rest.split_once(" : "));
        if let Some((place, instruction)) = step {
            self.finish(progress);
            let name = format!("[{place}] {}", instruction.trim_end());
            self.classic = Classic { name: Some(name), begun: Some(Instant::now()), ..Classic::default() };
            return;
        }
        let step = &mut self.classic;
        if line.trim() == "---> Using cache" && !step.told {
            step.begun = None;
            progress(BuildProgress::Cached { name: step.name.clone().unwrap_or_default() });
            return;
        }
        if let (Some(name), Some(_), false) = (&step.name, step.begun, step.told) {
            step.told = true;
            progress(BuildProgress::Started { name: name.clone() });
        }
        // The names of layers and containers in between are nothing that a step has printed.
        let between =
            ["---> ", "Removing intermediate container ", "Successfully built ", "Successfully tagged "];
        if step.name.is_some() && between.iter().any(|begin| line.trim_start().starts_with(begin)) {
            return;
        }
        keep(&mut step.log, line.to_owned());
        progress(BuildProgress::Log { name: step.name.clone().unwrap_or_default(), line: line.to_owned() });
    }

    /// Tells the end of the classic builder's step.
    pub(super) fn finish(&mut self, progress: &mut (dyn FnMut(BuildProgress) + '_)) {
        let step = &mut self.classic;
        if let (Some(name), Some(begun)) = (&step.name, step.begun.take()) {
            if !step.told {
                progress(BuildProgress::Started { name: name.clone() });
            }
            progress(BuildProgress::Finished { name: name.clone(), took: begun.elapsed() });
        }
    }

    #[cfg(feature = "buildkit")]
    pub(super) fn status(
        &mut self,
        status: bollard::moby::buildkit::v1::StatusResponse,
        progress: &mut (dyn FnMut(BuildProgress) + '_),
    ) {
        for vertex in status.vertexes {
            let known = self.known.entry(vertex.digest.clone()).or_default();
            known.name.clone_from(&vertex.name);
            let name = vertex.name;
            if !vertex.error.is_empty() {
                self.failed = Some(vertex.digest);
                continue;
            }
            if vertex.cached && !known.ended {
                known.ended = true;
                progress(BuildProgress::Cached { name });
                continue;
            }
            if vertex.started.is_some() && !known.begun {
                known.begun = true;
                progress(BuildProgress::Started { name: name.clone() });
            }
            if let (Some(begun), Some(ended), false) = (vertex.started, vertex.completed, known.ended) {
                known.ended = true;
                let nanoseconds =
                    (ended.seconds - begun.seconds) * 1_000_000_000 + i64::from(ended.nanos - begun.nanos);
                let took = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
                progress(BuildProgress::Finished { name, took });
            }
        }
        for log in status.logs {
            let known = self.known.entry(log.vertex).or_default();
            known.part.push_str(&String::from_utf8_lossy(&log.msg));
            while let Some(end) = known.part.find('\n') {
                let line = known.part[..end].trim_end_matches('\r').to_owned();
                known.part.drain(..=end);
                keep(&mut known.log, line.clone());
                progress(BuildProgress::Log { name: known.name.clone(), line });
            }
        }
    }

    /// The name of a step that has begun and not ended.
    pub(super) fn running(&self) -> Option<&str> {
        let running = self.known.values().filter(|step| step.begun && !step.ended && !step.name.is_empty());
        let classic = self.classic.name.as_deref().filter(|_| self.classic.begun.is_some());
        running.map(|step| step.name.as_str()).max().or(classic)
    }

    pub(super) fn fail(mut self, message: String) -> BuildError {
        let known = self.failed.and_then(|digest| self.known.remove(&digest));
        let message = message.trim().to_owned();
        match known {
            Some(mut known) => {
                if !known.part.is_empty() {
                    known.log.push_back(known.part);
                }
                BuildError::Failed { step: Some(known.name), message, log: known.log.into(), line: None }
            }
            None => {
                let Classic { name, log, .. } = self.classic;
                BuildError::Failed { step: name, message, log: log.into(), line: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_the_classic_builder_are_told_as_those_of_the_other() {
        let mut told = Vec::new();
        let mut tell = |progress| {
            told.push(match progress {
                BuildProgress::Started { name } => format!("begun {name}"),
                BuildProgress::Finished { name, .. } => format!("done {name}"),
                BuildProgress::Cached { name } => format!("cached {name}"),
                BuildProgress::Log { line, .. } => format!("said {line}"),
                BuildProgress::Warning(text) => text,
            });
        };
        let mut steps = Steps::default();
        let text = "Step 1/3 : FROM a\n ---> 42d0404a2401\nStep 2/3 : RUN one\n ---> Using cache\n ---> 4e\n\
                    Step 3/3 : RUN two\n ---> Running in 71e3\nwords\n";
        steps.take(BuildInfo { stream: Some(text.to_owned()), ..BuildInfo::default() }, &mut tell);
        assert_eq!(steps.running(), Some("[3/3] RUN two"));
        let error = steps.fail("The command 'two' returned a non-zero code: 9".to_owned());
        assert_eq!((error.step(), error.log()), (Some("[3/3] RUN two"), &["words".to_owned()][..]));
        assert_eq!(error.to_string(), "exit code: 9");
        let wanted = [
            "begun [1/3] FROM a",
            "done [1/3] FROM a",
            "cached [2/3] RUN one",
            "begun [3/3] RUN two",
            "said words",
        ];
        assert_eq!(told, wanted);
    }
}
