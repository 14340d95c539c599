//! Names as Kubernetes takes them.

use sha2::{Digest, Sha256};

/// The longest label of a name in the domain name system.
const LONGEST: usize = 63;

/// Whether a text is a label of RFC 1123: lower-case letters, digits and `-` within.
#[must_use]
pub fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A text as a label of RFC 1123; `None` when nothing is left of it. A text that is too long keeps
/// its beginning, and a digest in the place of the rest.
pub(crate) fn label(text: &str) -> Option<String> {
    let fit: String = (text.chars())
        .map(|each| if each.is_ascii_alphanumeric() { each.to_ascii_lowercase() } else { '-' })
        .collect();
    let fit = fit.trim_matches('-');
    if fit.is_empty() {
        return None;
    }
    if fit.len() <= LONGEST {
        return Some(fit.to_owned());
    }
    Some(hashed(fit, text.as_bytes()))
}

/// A name that tells another content by another ending: `app-conf-1f3a9c02`.
pub(crate) fn hashed(stem: &str, content: &[u8]) -> String {
    let ending = &digest(content)[..8];
    let stem: String = stem.chars().take(LONGEST - 9).collect();
    format!("{}-{ending}", stem.trim_matches('-'))
}

/// A digest in hexadecimal.
pub(crate) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key of a ConfigMap or Secret: letters, digits, `-`, `_` and `.`.
pub(crate) fn key(text: &str) -> String {
    let keeps = |each: char| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.');
    let key: String = text.chars().map(|each| if keeps(each) { each } else { '_' }).collect();
    if matches!(key.as_str(), "" | "." | "..") || key.len() > 253 {
        format!("file-{}", &digest(text.as_bytes())[..8])
    } else {
        key
    }
}

/// Whether a text is the key of a label or an annotation: `team`, `example.org/team`.
pub(crate) fn is_qualified(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let domain = |prefix: &str| prefix.len() <= 253 && prefix.split('.').all(is_label);
    !name.is_empty() && is_value(name) && prefix.is_none_or(domain)
}

/// Whether a text is the value of a label.
pub(crate) fn is_value(text: &str) -> bool {
    let end = |each: Option<char>| each.is_none_or(|each| each.is_ascii_alphanumeric());
    text.len() <= LONGEST
        && text.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.'))
        && end(text.chars().next())
        && end(text.chars().next_back())
}

/// A text as the value of a label.
pub(crate) fn value(text: &str) -> String {
    if is_value(text) { text.to_owned() } else { label(text).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit() {
        assert_eq!(label("My_App.v2").as_deref(), Some("my-app-v2"));
        assert_eq!(label("--"), None);
        let long = label(&"a".repeat(80)).expect("a name");
        assert!(long.len() == 63 && is_label(&long), "{long}");
        assert_ne!(label(&format!("{}b", "a".repeat(80))), Some(long));
        assert!(!is_label("a_b") && !is_label("-a") && !is_label("") && is_label("0a"));
    }

    #[test]
    fn keys_and_values_of_labels() {
        for key in ["team", "com.example.team", "example.org/team", "a_b"] {
            assert!(is_qualified(key), "{key}");
        }
        for key in ["", "-a", "a/b/c", "/a", "A.B/c", "a b", &"a".repeat(64)] {
            assert!(!is_qualified(key), "{key}");
        }
        assert!(is_value("") && is_value("1.2-a") && !is_value("a b") && !is_value("a-"));
        assert_eq!(key("a/b c"), "a_b_c");
    }
}
