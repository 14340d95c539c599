//! What is wrong with a file, and where: collected, never thrown.

use crate::source::Origin;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the stack can be used.
    Warning,
    /// The stack cannot be used.
    Error,
}

/// One finding about a file.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence without a full stop: what is wrong.
    pub message: String,
    /// The attribute, as a path from the top: `services.web.ports[0]`. Empty when there is none.
    pub path: String,
    /// Where. `None` when no place in a text is at fault, as with a missing file.
    pub origin: Option<Origin>,
    /// A few words beside the caret; empty for none.
    pub label: String,
    /// Further places that explain the first, each with a few words.
    pub related: Vec<(Origin, String)>,
    /// What to do next, one sentence each.
    pub help: Vec<String>,
    /// A text to put in place of `origin` that would be right: "did you mean".
    pub replacement: Option<String>,
}

impl Diagnostic {
    /// An error with a message; the other parts are added by the methods below.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// A warning with a message.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self {
            severity,
            message,
            path: String::new(),
            origin: None,
            label: String::new(),
            related: Vec::new(),
            help: Vec::new(),
            replacement: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    /// Says which attribute.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Puts a few words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds another place that explains this one.
    #[must_use]
    pub fn related(mut self, origin: &Origin, label: impl Into<String>) -> Self {
        self.related.push((origin.clone(), label.into()));
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Suggests a text in place of the one at fault.
    #[must_use]
    pub fn replacement(mut self, text: impl Into<String>) -> Self {
        self.replacement = Some(text.into());
        self
    }
}
