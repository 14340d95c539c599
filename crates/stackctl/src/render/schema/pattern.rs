//! What texts may look like, as regular expressions that every reader of JSON schemas knows.
//!
//! As the schema as a whole they are never stricter than the loader: they know the form, and
//! leave to the loader what only numbers tell, such as a port above 65535. A text with a
//! variable may be anything.

use serde_json::{Value, json};
use stack_file::attributes::Shape;

const PORTS: &str = "[0-9]+(?:-[0-9]+)?";

/// A text of this form, or one with a variable.
fn like(form: &str) -> Value {
    json!({ "type": "string", "pattern": format!("\\$|^(?:{form})$") })
}

/// A text that a variable decides about.
pub(super) fn variable() -> Value {
    json!({ "type": "string", "pattern": "\\$" })
}

/// The text of a value that is more than any text; `None` for values that may be any.
pub(super) fn of_shape(shape: Shape) -> Option<Value> {
    Some(match shape {
        Shape::Duration => like("0|(?:(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+"),
        Shape::Bytes => like(SIZE),
        Shape::Limit => like(&format!("-1|{SIZE}")),
        Shape::Permissions => like("\\+?[0-7]+"),
        Shape::Amount => like(&format!("{}|{WHOLE}", any_case("all"))),
        Shape::Integer | Shape::Count => like(WHOLE),
        Shape::Number => like("[-+]?[0-9.][0-9._eE+-]*"),
        Shape::Boolean => {
            let words = ["true", "false", "yes", "no", "on", "off", "y", "n"];
            like(&words.map(any_case).join("|"))
        }
        _ => return None,
    })
}

const SIZE: &str = "(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)\\s*(?:[bB]|[kKmMgGtTpP](?:[iI]?[bB])?)?";

const WHOLE: &str = "\\s*[-+]?[0-9]+\\s*";

/// `[[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL]`.
pub(super) fn port() -> Value {
    like(&format!("(?:(?:\\[?[0-9a-fA-F:.]*\\]?:)?(?:{PORTS})?:)?{PORTS}{}", protocol()))
}

/// `80`, `80-90`, `80/udp`.
pub(super) fn exposed() -> Value {
    like(&format!("{PORTS}{}", protocol()))
}

/// A published port, or a range of which one is taken.
pub(super) fn published() -> Value {
    like(&format!("(?:{PORTS})?"))
}

fn protocol() -> String {
    format!("(?:/(?:{}))?", ["tcp", "udp", "sctp"].map(any_case).join("|"))
}

/// `[SOURCE:]TARGET[:OPTIONS]`; drives of Windows have a colon of their own.
pub(super) fn mount() -> Value {
    let options = "ro|rw|z|Z|rprivate|private|rshared|shared|rslave|slave|nocopy|cached|delegated|consistent";
    let options = format!("(?:{options})?(?:,(?:{options})?)*");
    like(&format!("(?:(?:[a-zA-Z]:\\\\)?[^:]+:)?(?:/|[a-zA-Z]:\\\\)[^:]*(?::{options})?"))
}

/// A word in whatever case.
fn any_case(word: &str) -> String {
    word.chars().map(|each| format!("[{each}{}]", each.to_ascii_uppercase())).collect()
}
