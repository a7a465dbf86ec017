//! Reads JSON with a single meaning: a duplicate key is refused at any depth.

use super::malformed::{Excerpt, Malformed};
use crate::prelude::*;
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads a single JSON value, with no bytes after the value.
///
/// # Errors
/// [`Malformed`] if the line is not UTF-8 or not JSON, is nested more than 127 deep, or has a duplicate key.
///
/// ```
/// use rekindle_core::protocol::read_json;
///
/// assert_eq!(read_json(br#"{"ok":true}"#)?["ok"], true);
/// assert!(read_json(br#"{"ok":true,"ok":false}"#).is_err());
/// # Ok::<(), rekindle_core::protocol::Malformed>(())
/// ```
pub fn read_json(line: &[u8]) -> Result<Value, Malformed> {
    let text = core::str::from_utf8(line)
        .map_err(|error| Malformed::NotUtf8 { at: error.valid_up_to(), excerpt: Excerpt::of_bytes(line) })?;
    let read: Result<Strict, _> = serde_json::from_str(text);
    read.map(|Strict(value)| value).map_err(|error| Malformed::NotJson {
        why: Excerpt::of(&error.to_string()),
        excerpt: Excerpt::of_bytes(line),
    })
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((key, Strict(value))) = map.next_entry::<String, Strict>()? {
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format!("key `{key}` is there twice")));
            }
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}
