//! Reads the known fields of an object and sets the unknown fields aside, in one pass. Only unknown fields are copied.
//!
//! `#[serde(flatten)]` would copy every value into a tree first; for a record, the copy takes longer than everything else.
//!
//! Checked by `gates/tests/record.rs`.

use crate::prelude::*;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// Takes the unknown fields of a struct.
pub(crate) trait Remainder {
    /// Takes the field `name`; the value is next in `object`.
    ///
    /// # Errors
    /// If the value cannot be read.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, object: &mut A) -> Result<(), A::Error>;
}

impl Remainder for Map<String, Value> {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, object: &mut A) -> Result<(), A::Error> {
        let value = object.next_value()?;
        self.insert(name, value);
        Ok(())
    }
}

/// Deserialises a struct from an object, and gives unknown fields to `rest`.
pub(crate) struct Sift<'u, D, R> {
    pub(crate) object: D,
    pub(crate) rest: &'u mut R,
}

impl<'de, D: Deserializer<'de>, R: Remainder> Deserializer<'de> for Sift<'_, D, R> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.object.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.object.deserialize_map(OfObject { fields, rest: self.rest, visitor })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct OfObject<'u, V, R> {
    fields: &'static [&'static str],
    rest: &'u mut R,
    visitor: V,
}

impl<'de, V: Visitor<'de>, R: Remainder> Visitor<'de> for OfObject<'_, V, R> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Known { object, fields: self.fields, rest: self.rest })
    }
}

/// The known fields of an object.
struct Known<'u, A, R> {
    object: A,
    fields: &'static [&'static str],
    rest: &'u mut R,
}

impl<'de, A: MapAccess<'de>, R: Remainder> MapAccess<'de> for Known<'_, A, R> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.object.next_key_seed(Among(self.fields))? {
            match key {
                Key::Known(field) => return seed.deserialize(field.into_deserializer()).map(Some),
                Key::Unknown(name) => self.rest.take(name, &mut self.object)?,
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.object.next_value_seed(seed)
    }
}

enum Key {
    Known(&'static str),
    Unknown(String),
}

/// Tells a known name from another one.
struct Among(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Among {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Key, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Among {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        let known = self.0.iter().find(|field| **field == name);
        Ok(known.map_or_else(|| Key::Unknown(name.to_owned()), |field| Key::Known(field)))
    }
}
