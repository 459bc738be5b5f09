//! An OpenAPI document as a page that people read: no script, nothing from elsewhere.

use std::collections::BTreeMap;

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;

use crate::dashboard::page;

/// A page that shows a document, in the dashboard's look and with its content security policy. `place` is where the document itself
/// is served.
///
/// The page asks for the dashboard's style sheet, so serve it beside an [`Admin`](crate::Admin), wherever you like. It is the same for
/// everybody, and can be made once.
pub fn documentation(document: &OpenApi, place: &str) -> Response<Bytes> {
    let document = serde_json::to_value(document).unwrap_or_default();
    page::bare(StatusCode::OK, &Documentation::of(&document, place)).unwrap_or_else(|refusal| refusal.into_answer(None))
}

#[derive(Template)]
#[template(path = "documentation.html")]
struct Documentation<'d> {
    title: &'d str,
    version: &'d str,
    description: Prose<'d>,
    place: &'d str,
    groups: Vec<Group<'d>>,
    schemes: Vec<(&'d str, String, Prose<'d>)>,
    schemas: Vec<Schema<'d>>,
}

/// Operations of one tag.
struct Group<'d> {
    name: &'d str,
    operations: Vec<Operation<'d>>,
}

struct Operation<'d> {
    id: &'d str,
    /// Those of one path that are said to do the same.
    methods: Vec<String>,
    path: &'d str,
    summary: &'d str,
    description: Prose<'d>,
    /// Names of security schemes; none: it is open.
    security: Vec<&'d str>,
    parameters: Vec<Field<'d>>,
    body: Vec<Body<'d>>,
    answers: Vec<Answer<'d>>,
}

struct Body<'d> {
    media_type: &'d str,
    is_required: bool,
    kind: Kind<'d>,
}

struct Answer<'d> {
    status: &'d str,
    description: Prose<'d>,
    kinds: Vec<Kind<'d>>,
}

struct Schema<'d> {
    name: &'d str,
    description: Prose<'d>,
    /// What it consists of, besides fields of its own.
    kind: Kind<'d>,
    fields: Vec<Field<'d>>,
}

/// A parameter, or a property.
struct Field<'d> {
    name: &'d str,
    place: &'d str,
    is_required: bool,
    kind: Kind<'d>,
    description: Prose<'d>,
}

/// Pieces of a text, and whether each stands between backticks.
struct Prose<'d>(Vec<(&'d str, bool)>);

/// What a value is, in words; some of them lead to a schema.
struct Kind<'d>(Vec<(String, Option<&'d str>)>);

const METHODS: [&str; 8] = ["get", "head", "post", "put", "patch", "delete", "options", "trace"];

impl<'d> Documentation<'d> {
    fn of(document: &'d Value, place: &'d str) -> Self {
        let mut groups: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
        for (path, item) in entries(&document["paths"]) {
            let mut of_path: Vec<(&str, Operation<'_>)> = Vec::new();
            for (method, operation) in METHODS.iter().filter_map(|method| Some((method, item.get(method)?))) {
                let (tag, shown) = (text(&operation["tags"][0]), Operation::of(path, operation));
                match of_path.iter_mut().find(|(_, other)| other.summary == shown.summary) {
                    Some((_, other)) => other.methods.push(method.to_uppercase()),
                    None => of_path.push((tag, Operation { methods: vec![method.to_uppercase()], ..shown })),
                }
            }
            for (tag, operation) in of_path {
                groups.entry(tag).or_default().push(operation);
            }
        }
        let components = &document["components"];
        let schemes = entries(&components["securitySchemes"]).map(|(name, scheme)| {
            let place = match (text(&scheme["type"]), text(&scheme["in"])) {
                ("http", _) => format!("Authorization: {}", text(&scheme["scheme"])),
                (_, place) => format!("{place} {}", text(&scheme["name"])),
            };
            (name, place, Prose::of(&scheme["description"]))
        });
        Self {
            title: text(&document["info"]["title"]),
            version: text(&document["info"]["version"]),
            description: Prose::of(&document["info"]["description"]),
            place,
            groups: groups.into_iter().map(|(name, operations)| Group { name, operations }).collect(),
            schemes: schemes.collect(),
            schemas: entries(&components["schemas"]).map(|(name, schema)| Schema::of(name, schema)).collect(),
        }
    }
}

impl<'d> Operation<'d> {
    fn of(path: &'d str, operation: &'d Value) -> Self {
        let schemes = items(&operation["security"]).flat_map(|one| one.as_object().into_iter().flat_map(Map::keys));
        let parameters = items(&operation["parameters"]).map(|parameter| Field {
            name: text(&parameter["name"]),
            place: text(&parameter["in"]),
            is_required: parameter["required"] == true,
            kind: Kind::of(&parameter["schema"]),
            description: Prose::of(&parameter["description"]),
        });
        let body = &operation["requestBody"];
        let bodies = entries(&body["content"]).map(|(media_type, content)| Body {
            media_type,
            is_required: body["required"] == true,
            kind: Kind::of(&content["schema"]),
        });
        let answers = entries(&operation["responses"]).map(|(status, answer)| Answer {
            status,
            description: Prose::of(&answer["description"]),
            kinds: entries(&answer["content"]).map(|(_, content)| Kind::of(&content["schema"])).collect(),
        });
        Self {
            id: text(&operation["operationId"]),
            methods: Vec::new(),
            path,
            summary: text(&operation["summary"]),
            description: Prose::of(&operation["description"]),
            security: schemes.map(String::as_str).collect(),
            parameters: parameters.collect(),
            body: bodies.collect(),
            answers: answers.collect(),
        }
    }
}

impl<'d> Schema<'d> {
    fn of(name: &'d str, schema: &'d Value) -> Self {
        // What is put together of others has its own fields in one of the parts.
        let parts = items(&schema["allOf"]).chain([schema]);
        let fields = parts.flat_map(|part| {
            let required = &part["required"];
            entries(&part["properties"]).map(|(name, property)| Field {
                name,
                place: "",
                is_required: items(required).any(|one| one == name),
                kind: Kind::of(property),
                // Of what may be null as well, the other part tells what it is.
                description: Prose::of(
                    items(&property["oneOf"])
                        .chain([property])
                        .map(|part| &part["description"])
                        .find(|text| text.is_string())
                        .unwrap_or(&Value::Null),
                ),
            })
        });
        let fields = fields.collect();
        let is_plain = schema["properties"].is_object();
        let kind = if is_plain { Kind(Vec::new()) } else { Kind::of(schema) };
        Self { name, description: Prose::of(&schema["description"]), kind, fields }
    }
}

impl<'d> Prose<'d> {
    fn of(value: &'d Value) -> Self {
        let pieces = text(value).split('`').enumerate().filter(|(_, piece)| !piece.is_empty());
        Self(pieces.map(|(place, piece)| (piece, place % 2 == 1)).collect())
    }
}

impl<'d> Kind<'d> {
    fn of(schema: &'d Value) -> Self {
        let mut words = Vec::new();
        tell(schema, &mut words);
        Self(words)
    }
}

fn tell<'d>(schema: &'d Value, words: &mut Vec<(String, Option<&'d str>)>) {
    let mut say = |word: String| words.push((word, None));
    if let Some(name) = schema["$ref"].as_str().and_then(|pointer| pointer.rsplit('/').next()) {
        words.push((name.to_owned(), Some(name)));
        return;
    }
    for (of, between) in [("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")] {
        if schema[of].is_array() {
            for (place, part) in items(&schema[of]).enumerate() {
                if place > 0 {
                    words.push((between.to_owned(), None));
                }
                tell(part, words);
            }
            return;
        }
    }
    if schema["enum"].is_array() {
        let values: Vec<&str> = items(&schema["enum"]).map(text).collect();
        return say(format!("one of {}", values.join(", ")));
    }
    let names = match &schema["type"] {
        Value::Array(all) => all.iter().map(text).collect(),
        one => vec![text(one)],
    };
    for (place, name) in names.into_iter().enumerate() {
        if place > 0 {
            words.push((" or ".to_owned(), None));
        }
        match name {
            "array" => {
                words.push(("list of ".to_owned(), None));
                tell(&schema["items"], words);
            }
            "object" if schema["additionalProperties"].is_object() => {
                words.push(("names, each with ".to_owned(), None));
                tell(&schema["additionalProperties"], words);
            }
            "string" => {
                let format = schema["format"].as_str().map(|format| format!(" ({format})"));
                words.push((format!("text{}", format.unwrap_or_default()), None));
            }
            "integer" => words.push((format!("whole number{}", range(schema)), None)),
            "" => words.push(("anything".to_owned(), None)),
            other => words.push((other.to_owned(), None)),
        }
    }
}

fn range(schema: &Value) -> String {
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        _ => String::new(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}
