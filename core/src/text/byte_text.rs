//! The JSON form of text of any bytes: paths, arguments and the values of variables.
//!
//! | text | JSON |
//! |---|---|
//! | UTF-8 | a plain string, `"/run/cache/sock"` |
//! | other bytes | an object with all bytes in hexadecimal digits, `{"bytes":"2f72756e2fe9"}` |
//!
//! # Invariants
//! 1. Nothing is lost: the text read equals the text written, byte for byte.
//! 2. The two forms cannot be confused: a string or an object.
//! 3. No text is refused, so serialising a path or an argument cannot fail.
//!
//! Fields use the module as `#[serde(with = "byte_text")]`. Checked by `gates/tests/byte_text.rs`.

use crate::prelude::*;
use alloc::collections::BTreeMap;
use core::fmt;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The field with the bytes of a non-UTF-8 text.
const BYTES: &str = "bytes";

/// A text in its JSON form.
///
/// ```
/// use rekindle_core::byte_text::{ByteText, from_bytes};
///
/// assert_eq!(serde_json::to_string(&ByteText("/run/sock".as_ref()))?, r#""/run/sock""#);
/// assert_eq!(serde_json::to_string(&ByteText(&from_bytes(b"\xe9".to_vec())))?, r#"{"bytes":"e9"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ByteText<'a>(pub &'a OsStr);

impl Serialize for ByteText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => {
                let mut object = serializer.serialize_map(Some(1))?;
                object.serialize_entry(BYTES, &to_hex(self.0.as_bytes()))?;
                object.end()
            }
        }
    }
}

/// The text of these bytes.
pub fn from_bytes(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// The text of `value`; `None` if `value` is neither a string nor an object with bytes.
pub fn from_value(value: &Value) -> Option<OsString> {
    Owned::deserialize(value).ok().map(|owned| owned.0)
}

/// Serialises a field: a text, or several.
///
/// # Errors
/// Only if the serializer itself fails.
pub fn serialize<T: Stored, S: Serializer>(field: &T, serializer: S) -> Result<S::Ok, S::Error> {
    field.store(serializer)
}

/// Deserialises a field: a text, or several.
///
/// # Errors
/// If the value has neither of the two forms.
pub fn deserialize<'de, T: Stored, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::load(deserializer)
}

/// A field of texts.
pub trait Stored: Sized {
    /// Serialises all texts of the field.
    ///
    /// # Errors
    /// Only if the serializer itself fails.
    fn store<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Deserialises all texts of the field.
    ///
    /// # Errors
    /// If the value has neither of the two forms.
    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// A single text.
trait Single: AsRef<OsStr> + From<OsString> {}

impl Single for OsString {}

impl Single for PathBuf {}

impl<T: Single> Stored for T {
    fn store<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ByteText(self.as_ref()).serialize(serializer)
    }

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Owned::deserialize(deserializer)?.0.into())
    }
}

impl<T: Single> Stored for Option<T> {
    fn store<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(|text| ByteText(text.as_ref())).serialize(serializer)
    }

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Owned>::deserialize(deserializer)?.map(|owned| owned.0.into()))
    }
}

impl<T: Single> Stored for Vec<T> {
    fn store<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|text| ByteText(text.as_ref())))
    }

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Owned>::deserialize(deserializer)?.into_iter().map(|owned| owned.0.into()).collect())
    }
}

impl<T: Single> Stored for BTreeMap<String, T> {
    fn store<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, text)| (name, ByteText(text.as_ref()))))
    }

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let owned = BTreeMap::<String, Owned>::deserialize(deserializer)?;
        Ok(owned.into_iter().map(|(name, owned)| (name, owned.0.into())).collect())
    }
}

/// A text, read from either form.
struct Owned(OsString);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherSpelling).map(Self)
    }
}

struct EitherSpelling;

impl<'de> Visitor<'de> for EitherSpelling {
    type Value = OsString;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, or an object with `bytes` in hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OsString, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<OsString, E> {
        Ok(text.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<OsString, A::Error> {
        let Some((name, digits)) = object.next_entry::<String, String>()? else {
            return Err(A::Error::missing_field(BYTES));
        };
        if name != BYTES || object.next_key::<String>()?.is_some() {
            return Err(A::Error::custom("`bytes` is the only field of a text that is not UTF-8"));
        }
        let bytes = from_hex(digits.as_bytes());
        bytes.map(from_bytes).ok_or_else(|| A::Error::custom("`bytes` are not pairs of hexadecimal digits"))
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    digits.len().is_multiple_of(2).then_some(())?;
    digits.chunks_exact(2).map(|pair| Some(value(*pair.first()?)? << 4 | value(*pair.last()?)?)).collect()
}
