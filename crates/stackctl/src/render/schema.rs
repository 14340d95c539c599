//! The attribute table as a JSON schema, for editors that complete and check.
//!
//! It is never stricter than the loader: whatever may hold a variable may be a text,
//! and every short form is allowed.

mod pattern;

use serde_json::{Map, Value, json};
use stack_file::attributes::{Attribute, Schema, Shape, Short, Support};

/// The schema of a stack file.
pub(crate) fn whole() -> Value {
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file",
    });
    super::json::extend(&mut whole, node(Schema::root()));
    whole
}

fn node(schema: &Schema) -> Value {
    let row = schema.row;
    let mut forms = vec![long(schema)];
    forms.extend(short(schema));
    if may_be_empty(row) {
        forms.push(json!({ "type": "null" }));
    }
    described(row, merged(forms))
}

/// One form as it is, several as alternatives; forms that differ in the type alone
/// become one with several types.
fn merged(forms: Vec<Value>) -> Value {
    let plain: Option<Vec<Value>> = forms
        .iter()
        .map(|form| {
            form.as_object().filter(|form| form.len() == 1).and_then(|form| form.get("type")).cloned()
        })
        .collect();
    match (plain, forms.len()) {
        (_, 1) => forms.into_iter().next().unwrap_or_default(),
        (Some(types), _) => {
            let flat = types.into_iter().flat_map(|one| match one {
                Value::Array(several) => several,
                one => vec![one],
            });
            json!({ "type": flat.collect::<Vec<_>>() })
        }
        _ => json!({ "anyOf": forms }),
    }
}

/// Puts what the table says about an attribute before its form.
fn described(row: &Attribute, form: Value) -> Value {
    let mut told = json!({});
    if !row.path.is_empty() {
        let more = match row.support {
            Support::NotYet("") => " Not applied yet.".to_owned(),
            Support::NotYet(instead) => format!(" Not applied yet: {instead}."),
            Support::NoEffect(why) | Support::Ignored(why) => format!(" No effect: {why}."),
            Support::Honoured | Support::Told => String::new(),
        };
        told["description"] = format!("{}{more}", row.doc).into();
    }
    match row.support {
        Support::NoEffect(_) => super::json::extend(&mut told, json!({ "deprecated": true })),
        Support::Honoured | Support::Ignored(_) | Support::Told => super::json::extend(&mut told, form),
        // Editors complete what stands under `properties`, unless they are told not to.
        Support::NotYet(_) => {
            super::json::extend(&mut told, form);
            super::json::extend(&mut told, json!({ "doNotSuggest": true }));
        }
    }
    told
}

/// The long form of a value.
fn long(schema: &Schema) -> Value {
    match schema.row.shape {
        Shape::Text if schema.row.path == "services.*.ports[].published" => {
            json!({ "anyOf": [port_number(), pattern::published()] })
        }
        Shape::Text => json!({ "type": ["string", "integer"] }),
        Shape::Plain => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Path | Shape::Context => json!({ "type": "string" }),
        Shape::Duration => text_of(schema.row.shape),
        Shape::Permissions => number_or(json!({ "type": "integer", "minimum": 0 }), schema),
        Shape::Amount => number_or(json!({ "type": "integer", "minimum": -1 }), schema),
        Shape::Boolean => number_or(json!({ "type": "boolean" }), schema),
        Shape::Integer => number_or(json!({ "type": "integer" }), schema),
        Shape::Count => number_or(json!({ "type": "integer", "minimum": 0 }), schema),
        Shape::Number | Shape::Bytes => number_or(json!({ "type": "number", "minimum": 0 }), schema),
        Shape::Limit => number_or(json!({ "type": "number", "minimum": -1 }), schema),
        Shape::Choice(choices) => json!({ "anyOf": [{ "enum": choices }, pattern::variable()] }),
        Shape::Mapping => {
            let properties: Map<String, Value> =
                schema.children.iter().map(|(name, child)| ((*name).to_owned(), node(child))).collect();
            json!({
                "type": ["object", "null"],
                "properties": properties,
                "patternProperties": { "^x-": {} },
                "additionalProperties": false,
            })
        }
        Shape::Keyed => {
            let each = schema.each.as_deref().map_or(json!({}), node);
            json!({
                "type": "object",
                "propertyNames": { "pattern": "^[a-zA-Z0-9._-]+$" },
                "additionalProperties": each,
            })
        }
        Shape::List => {
            let item = schema.item.as_deref().map_or(json!({}), node);
            // A key without a value is an empty list.
            json!({ "type": ["array", "null"], "items": item })
        }
        Shape::Texts if schema.row.short == Short::Expose => {
            json!({ "type": "array", "items": { "anyOf": [port_number(), pattern::exposed()] } })
        }
        Shape::Texts | Shape::Paths => json!({ "type": "array", "items": { "type": ["string", "integer"] } }),
        Shape::Lists => {
            let one = json!({ "type": ["string", "number", "boolean"] });
            json!({ "type": "object", "additionalProperties": { "anyOf": [one.clone(), { "type": "array", "items": one }] } })
        }
        Shape::Pairs | Shape::Variables | Shape::Contexts => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean", "null"] } })
        }
    }
}

/// The short form of a value.
fn short(schema: &Schema) -> Option<Value> {
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    Some(match schema.row.short {
        // What is exposed is a list already, with numbers among its items.
        Short::None | Short::Expose => return None,
        Short::One
        | Short::Words
        | Short::Test
        | Short::Build
        | Short::Field(_)
        | Short::Device
        | Short::Gpus
        | Short::Source => {
            json!({ "type": "string" })
        }
        Short::Assignments | Short::Names => texts(),
        Short::Mount => pattern::mount(),
        Short::Port => json!({ "anyOf": [port_number(), pattern::port()] }),
        Short::Ulimit => json!({ "anyOf": [{ "type": "integer" }, text_of(Shape::Integer)] }),
        Short::EnvFiles => {
            let item = schema.item.as_deref().map_or(json!({}), node);
            json!({ "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "anyOf": [{ "type": "string" }, item] } },
            ] })
        }
        Short::Hosts => json!({
            "type": "object",
            "additionalProperties": { "anyOf": [{ "type": "string" }, texts()] },
        }),
        Short::External => json!({
            "type": "object",
            "properties": { "name": { "type": "string" } },
            "additionalProperties": false,
        }),
    })
}

/// A number, or a text that comes to one.
fn number_or(number: Value, schema: &Schema) -> Value {
    json!({ "anyOf": [number, text_of(schema.row.shape)] })
}

fn text_of(shape: Shape) -> Value {
    pattern::of_shape(shape).unwrap_or_else(|| json!({ "type": "string" }))
}

fn port_number() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 65535 })
}

/// Whether a key without a value means something.
fn may_be_empty(row: &Attribute) -> bool {
    let top = !row.path.is_empty() && !row.path.contains('.');
    row.short == Short::Words
        || (row.shape == Shape::Mapping && row.name() == "*")
        || (row.shape == Shape::Keyed && top)
}
