//! Plain values, as the Docker API writes them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use indexmap::IndexMap;
use stack_file::source::Spanned;

use crate::engine::EngineError;

/// Whole seconds, rounded up: a grace period must not become shorter.
pub(in crate::docker) fn whole_seconds<N: TryFrom<u64> + Bounded>(time: Duration) -> N {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    N::try_from(seconds).unwrap_or(N::HIGHEST)
}

/// A number type with a highest value.
pub(in crate::docker) trait Bounded {
    const HIGHEST: Self;
}

impl Bounded for i64 {
    const HIGHEST: Self = Self::MAX;
}

impl Bounded for i32 {
    const HIGHEST: Self = Self::MAX;
}

pub(in crate::docker) fn signed(bytes: u64) -> Result<i64, EngineError> {
    i64::try_from(bytes)
        .map_err(|_| EngineError::Unsupported(format!("{bytes} bytes are more than the engine can count")))
}

pub(in crate::docker) fn size(bytes: &Option<Spanned<u64>>) -> Result<Option<i64>, EngineError> {
    bytes.as_ref().map(|bytes| signed(bytes.value)).transpose()
}

pub(in crate::docker) fn text(value: &Option<Spanned<String>>) -> Option<String> {
    value.as_ref().map(|value| value.value.clone())
}

pub(in crate::docker) fn texts(values: &[Spanned<String>]) -> Option<Vec<String>> {
    some_list(values.iter().map(|value| value.value.clone()))
}

pub(in crate::docker) fn list(values: &Option<Spanned<Vec<String>>>) -> Option<Vec<String>> {
    values.as_ref().map(|values| values.value.clone())
}

pub(in crate::docker) fn flag(value: &Option<Spanned<bool>>) -> Option<bool> {
    value.as_ref().map(|value| value.value)
}

pub(in crate::docker) fn some_list<T>(values: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let values: Vec<T> = values.collect();
    (!values.is_empty()).then_some(values)
}

pub(in crate::docker) fn some(map: HashMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then_some(map)
}

pub(in crate::docker) fn plain<'a>(
    map: impl IntoIterator<Item = (&'a String, &'a Spanned<String>)>,
) -> HashMap<String, String> {
    map.into_iter().map(|(key, value)| (key.clone(), value.value.clone())).collect()
}

pub(in crate::docker) fn pairs(map: &IndexMap<String, String>) -> HashMap<String, String> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(in crate::docker) fn number(value: &Option<Spanned<i64>>) -> Option<i64> {
    value.as_ref().map(|value| value.value)
}

pub(in crate::docker) fn hashed(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}
