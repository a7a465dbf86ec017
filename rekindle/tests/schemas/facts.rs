//! What a reader may rely on, as facts: comparable whatever the form of the schema.
//!
//! | fact | meaning |
//! |---|---|
//! | `outcome=rejected` `reason = "not-running"` | the word may stand there |
//! | `outcome=rejected` `holder: object` | the field has this type, among others |
//! | `outcome=rejected` `holder is always there` | the field is required |
//!
//! A reader of an answer that is told apart by a word (`outcome`, `event`, `status`, `kind`) reads the fields of that
//! answer, so facts are noted for each word. References are followed: whether a type has a name of its own is no fact.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The fields that tell answers apart.
const TAGS: [&str; 4] = ["outcome", "event", "status", "kind"];

/// The facts of `before` that do not hold in `after`; none if the version differs.
pub(crate) fn lost(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (facts(before), facts(after));
    let version =
        |facts: &BTreeSet<String>| facts.iter().find(|fact| fact.contains("schema_version = ")).cloned();
    match (version(&before), version(&after)) {
        (Some(before), Some(after)) if before != after => Vec::new(),
        _ => before.difference(&after).cloned().collect(),
    }
}

/// The fields without a description.
pub(crate) fn undescribed(name: &str, root: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![(name.to_owned(), root)];
    while let Some((at, node)) = left.pop() {
        let Value::Object(fields) = node else { continue };
        for (key, value) in fields {
            if let ("properties", Value::Object(properties)) = (key.as_str(), value) {
                // The description of a variant with one field is that of the field.
                let is_variant = properties.len() == 1 && fields.contains_key("description");
                let silent = |(_, it): &(&String, &Value)| {
                    !is_variant && it.get("description").is_none() && it.get("const").is_none()
                };
                found.extend(properties.iter().filter(silent).map(|(field, _)| format!("{at}: {field}")));
            }
            match value {
                Value::Array(items) => left.extend(items.iter().map(|item| (at.clone(), item))),
                Value::Object(_) => left.push((format!("{at}/{key}"), value)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
    found
}

/// All facts of a schema; none of a file that is new.
fn facts(root: &Value) -> BTreeSet<String> {
    if root.as_object().is_none_or(Map::is_empty) {
        return BTreeSet::new();
    }
    let mut all = Facts { root, found: BTreeSet::new() };
    for answer in all.alternatives(root) {
        all.note(&answer, "");
    }
    all.found
}

struct Facts<'s> {
    root: &'s Value,
    found: BTreeSet<String>,
}

impl Facts<'_> {
    /// A schema without references and alternatives, as many as there are.
    fn alternatives(&self, schema: &Value) -> Vec<Map<String, Value>> {
        let Value::Object(fields) = schema else { return vec![Map::new()] };
        let mut own = fields.clone();
        own.retain(|key, _| !["$ref", "anyOf", "oneOf", "allOf", "$defs"].contains(&key.as_str()));
        let mut all = vec![own];
        if let Some(Value::String(to)) = fields.get("$ref") {
            let target = self.root.pointer(to.trim_start_matches('#')).expect("a reference leads somewhere");
            all = self.joined(&all, &self.alternatives(target));
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(Value::Array(choices)) = fields.get(key) {
                let choices: Vec<_> = choices.iter().flat_map(|choice| self.alternatives(choice)).collect();
                all = self.joined(&all, &choices);
            }
        }
        for part in fields.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            all = self.joined(&all, &self.alternatives(part));
        }
        all
    }

    fn joined(&self, all: &[Map<String, Value>], more: &[Map<String, Value>]) -> Vec<Map<String, Value>> {
        all.iter().flat_map(|one| more.iter().map(|other| joined(one, other))).collect()
    }

    /// Notes one alternative at a place.
    fn note(&mut self, schema: &Map<String, Value>, at: &str) {
        for fact in of_value(schema) {
            self.found.insert(format!("{at}{fact}"));
        }
        if let Some(item) = schema.get("items") {
            self.note_all(item, &format!("{at}[]"));
        }
        if let Some(value @ Value::Object(_)) = schema.get("additionalProperties") {
            self.note_all(value, &format!("{at}.*"));
        }
        let Some(Value::Object(fields)) = schema.get("properties") else { return };
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for tag in self.tags(fields) {
            for (name, field) in fields {
                let at = format!("{at}{tag}.{name}");
                if required.contains(&name.as_str()) {
                    self.found.insert(format!("{at} is always there"));
                }
                self.note_all(field, &at);
            }
        }
    }

    fn note_all(&mut self, schema: &Value, at: &str) {
        for alternative in self.alternatives(schema) {
            self.note(&alternative, at);
        }
    }

    /// The words that tell an answer apart from others; one empty text if there are none.
    fn tags(&self, fields: &Map<String, Value>) -> Vec<String> {
        let tag = TAGS.iter().find_map(|tag| Some((tag, fields.get(*tag)?)));
        let Some((tag, field)) = tag else { return vec![String::new()] };
        let words: Vec<String> = self
            .alternatives(field)
            .iter()
            .flat_map(words)
            .filter_map(|word| Some(format!("({tag}={})", word.as_str()?)))
            .collect();
        if words.is_empty() { vec![String::new()] } else { words }
    }
}

/// The values of a constant or an enumeration.
fn words(schema: &Map<String, Value>) -> Vec<Value> {
    let several = schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
    schema.get("const").cloned().into_iter().chain(several).collect()
}

/// The types and words of a value.
fn of_value(schema: &Map<String, Value>) -> Vec<String> {
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    let words = words(schema).into_iter().map(|word| format!(" = {word}"));
    types.into_iter().map(|it| format!(": {it}")).chain(words).collect()
}

/// Both schemas hold.
fn joined(one: &Map<String, Value>, other: &Map<String, Value>) -> Map<String, Value> {
    let mut all = one.clone();
    for (key, value) in other {
        match (all.get_mut(key), value) {
            (Some(Value::Object(fields)), Value::Object(more)) => fields.extend(more.clone()),
            (Some(Value::Array(items)), Value::Array(more)) if key == "required" => {
                items.extend(more.clone());
            }
            (Some(_), _) => {}
            (None, _) => drop(all.insert(key.clone(), value.clone())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        json!({
            "anyOf": [
                { "type": "object", "required": ["outcome", "pid"], "properties": {
                    "outcome": { "type": "string", "enum": ["started", "attached"] },
                    "pid": { "type": ["integer", "null"] },
                } },
                { "$ref": "#/$defs/Failed" },
            ],
            "$defs": { "Failed": { "type": "object", "required": ["outcome"], "properties": {
                "outcome": { "const": "error" },
                "pid": { "type": "null" },
            } } },
        })
    }

    fn changed(pointer: &str, value: Value) -> Vec<String> {
        let (before, mut after) = (answer(), answer());
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer has parts");
        let parent = after.pointer_mut(parent).expect("it is there").as_object_mut().expect("an object");
        if value.is_null() {
            drop(parent.shift_remove(key));
        } else {
            drop(parent.insert(key.into(), value));
        }
        lost(&before, &after)
    }

    #[test]
    fn what_breaks_a_reader_is_lost() {
        let fields = "/anyOf/0/properties";
        // A dropped field, also where another answer keeps the field.
        assert_eq!(changed("/$defs/Failed/properties/pid", Value::Null), ["(outcome=error).pid: null"]);
        assert!(!changed(&format!("{fields}/pid"), Value::Null).is_empty());
        // A renamed field.
        let renamed = json!({ "outcome": { "enum": ["started", "attached"] }, "process": { "type": ["integer", "null"] } });
        assert!(changed(fields, renamed).iter().any(|fact| fact.contains("pid")));
        // A narrowed type, a field that may be absent, a word that is gone.
        assert_eq!(changed(&format!("{fields}/pid/type"), json!("integer")).len(), 2);
        assert_eq!(
            changed("/anyOf/0/required", json!(["outcome"])),
            ["(outcome=attached).pid is always there", "(outcome=started).pid is always there"]
        );
        assert!(!changed(&format!("{fields}/outcome/enum"), json!(["started"])).is_empty());
    }

    #[test]
    fn what_is_added_is_no_loss() {
        assert_eq!(changed("/anyOf/0/properties/more", json!({ "type": "string" })), [""; 0]);
        assert_eq!(
            changed("/anyOf/0/properties/outcome/enum", json!(["started", "attached", "adopted"])),
            [""; 0]
        );
        assert_eq!(changed("/anyOf/0/properties/pid/type", json!(["integer", "null", "string"])), [""; 0]);
        // A type that gets a name of its own.
        let mut named = answer();
        let inline = named.pointer("/anyOf/0").cloned().expect("it is there");
        named["$defs"]["Running"] = inline;
        named["anyOf"][0] = json!({ "$ref": "#/$defs/Running" });
        assert_eq!(lost(&answer(), &named), [""; 0]);
    }
}
