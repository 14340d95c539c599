//! Services that another program makes, and the models that services use.

use indexmap::IndexMap;

use crate::source::Spanned;

/// A service that another program makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The program: a plugin of docker, or one in `PATH`.
    pub kind: Spanned<String>,
    /// Options of the program, each with its values.
    pub options: IndexMap<String, Vec<String>>,
}

/// An AI model of the stack.
#[derive(Clone, Debug)]
pub struct Model {
    /// The key under `models`.
    pub key: Spanned<String>,
    /// The model's reference, as `ai/smollm2`.
    pub model: String,
    /// The size of its context, tokens; `None` is the model's own.
    pub context_size: Option<u64>,
    /// Flags of the program that runs it.
    pub runtime_flags: Vec<String>,
}

/// How a service learns of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelUse {
    /// The variable for its address; `None` is `KEY_URL`.
    pub endpoint_var: Option<String>,
    /// The variable for its name; `None` is `KEY_MODEL`.
    pub model_var: Option<String>,
}
