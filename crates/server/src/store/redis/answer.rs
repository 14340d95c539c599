//! Answers of scripts.

use fred::prelude::Value;

use crate::store::{Position, StoreError};

/// The values of a script's answer, taken in order.
pub(super) struct Answer(std::vec::IntoIter<Value>);

impl Answer {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    pub(super) fn next(&mut self) -> Result<Value, StoreError> {
        self.0.next().ok_or_else(|| StoreError::Broken("an answer that is too short".to_owned()))
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.next()?.into_string().ok_or_else(|| StoreError::Broken("no text".to_owned()))
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        Ok(match self.next()? {
            Value::Null => None,
            value => value.into_string(),
        })
    }

    pub(super) fn number(&mut self) -> Result<u64, StoreError> {
        self.next()?.as_u64().ok_or_else(|| StoreError::Broken("no number".to_owned()))
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, StoreError> {
        match self.next()? {
            Value::Array(values) => Ok(values.into_iter().filter_map(Value::into_string).collect()),
            Value::Null => Ok(Vec::new()),
            _ => Err(StoreError::Broken("no list".to_owned())),
        }
    }

    pub(super) fn position(&mut self) -> Result<Position, StoreError> {
        Ok(Position { epoch: self.text()?, offset: self.number()? })
    }
}
