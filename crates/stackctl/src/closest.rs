//! What was probably meant by a name that there is not.

/// The known name that is closest to this one, if one is close; case does not count.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &name), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_close_is_meant() {
        assert_eq!(closest("wbe", ["db", "web", "worker"]), Some("web"));
        assert_eq!(closest("WEB", ["db", "web"]), Some("web"));
        assert_eq!(closest("queue", ["db", "web"]), None);
    }
}
