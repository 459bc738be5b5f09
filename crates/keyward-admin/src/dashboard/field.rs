//! A form's field with its label, its hint and its fault, as screen readers need them tied together.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::fault::{FieldFault, Refusal};

/// Why a form is shown again.
#[derive(Default)]
pub(super) struct Faults {
    fields: Vec<FieldFault>,
    /// What is wrong with it as a whole.
    pub(super) whole: Option<String>,
}

impl Faults {
    /// What a form can tell. Everything else is no matter of its fields.
    pub(super) fn of(refusal: &Refusal) -> Option<Self> {
        match refusal {
            Refusal::Fields(faults) => Some(Self { fields: faults.clone(), whole: None }),
            Refusal::Unauthenticated(_) | Refusal::LockedOut(_) => {
                Some(Self { fields: Vec::new(), whole: Some(refusal.detail()) })
            }
            _ => None,
        }
    }

    pub(super) fn is_any(&self) -> bool {
        !self.fields.is_empty() || self.whole.is_some()
    }

    /// What is wrong with a field, or with items of its list, as a sentence.
    pub(super) fn about(&self, field: &str, label: &str) -> Option<String> {
        let told: Vec<String> = self
            .fields
            .iter()
            .filter_map(|fault| {
                let rest = fault.field.strip_prefix(field)?;
                match rest.strip_prefix('[').and_then(|place| place.strip_suffix(']')) {
                    None if rest.is_empty() => Some(format!("{label} {}.", fault.detail)),
                    None => None,
                    Some(place) => {
                        let place = place.parse::<usize>().map_or(0, |place| place + 1);
                        Some(format!("{label}: entry {place} {}.", fault.detail))
                    }
                }
            })
            .collect();
        (!told.is_empty()).then(|| told.join(" "))
    }
}

/// A field of one line, of several, or of a password.
#[derive(Template)]
#[template(path = "field.html")]
pub(super) struct Field {
    id: &'static str,
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: String,
    autocomplete: &'static str,
    hint: &'static str,
    is_required: bool,
    fault: Option<String>,
}

impl HtmlSafe for Field {}

impl Field {
    /// `kind` is the input's type, or `lines`. The id is the name, unless [`Field::id`] says otherwise.
    pub(super) fn new(name: &'static str, label: &'static str, kind: &'static str, faults: &Faults) -> Self {
        Self {
            id: name,
            name,
            label,
            kind,
            value: String::new(),
            autocomplete: "off",
            hint: "",
            is_required: false,
            fault: faults.about(name, label),
        }
    }

    pub(super) fn id(self, id: &'static str) -> Self {
        Self { id, ..self }
    }

    /// What stands in it. A password never comes back.
    pub(super) fn value(self, value: &str) -> Self {
        Self { value: value.to_owned(), ..self }
    }

    pub(super) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    pub(super) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }
}

/// One of the values of a choice.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) is_chosen: bool,
}

impl Choice {
    pub(super) fn of(choices: &[(&str, &str)], chosen: &str) -> Vec<Self> {
        let choice = |(value, label): &(&str, &str)| Self {
            value: (*value).to_owned(),
            label: (*label).to_owned(),
            is_chosen: *value == chosen,
        };
        choices.iter().map(choice).collect()
    }
}
