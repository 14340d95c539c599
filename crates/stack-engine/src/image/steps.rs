//! What a build tells of its steps.

use std::collections::{HashMap, VecDeque};
#[cfg(feature = "buildkit")]
use std::time::Duration;

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
    /// Lines of builds without steps.
    plain: VecDeque<String>,
}

#[derive(Default)]
#[cfg_attr(not(feature = "buildkit"), expect(dead_code, reason = "only a session with BuildKit needs it"))]
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
        if let Some(text) = info.stream {
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                keep(&mut self.plain, line.to_owned());
                progress(BuildProgress::Log { name: String::new(), line: line.to_owned() });
            }
        }
        #[cfg(feature = "buildkit")]
        if let Some(bollard::models::BuildInfoAux::BuildKit(status)) = info.aux {
            self.status(status, progress);
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
    #[cfg(feature = "buildkit")]
    pub(super) fn running(&self) -> Option<&str> {
        let running = self.known.values().filter(|step| step.begun && !step.ended && !step.name.is_empty());
        running.map(|step| step.name.as_str()).max()
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
            None => BuildError::Failed { step: None, message, log: self.plain.into(), line: None },
        }
    }
}
