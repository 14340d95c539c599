//! How hard the properties over plans are tried.

/// How many cases of a property are drawn: what `cargo xtask test --cases` says, else 256.
pub(crate) fn cases() -> u32 {
    std::env::var("STACKCTL_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(256)
}
