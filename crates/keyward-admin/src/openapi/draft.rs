//! Operations and schemas, on their way into a document.

use keyward::Policy;
use keyward::openapi::{self, denial_or};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, Components, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Header, Info, OpenApi, Paths, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::fault::{FieldFault, Problem};

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

pub(super) struct Draft {
    paths: Paths,
    components: Components,
    /// Of refusals.
    media_type: &'static str,
    refusal: Ref,
}

/// How the management's own refusals are called among the document's schemas.
const REFUSAL: &str = "Refusal";

/// One operation.
#[must_use]
pub(super) struct Described<'d> {
    draft: &'d mut Draft,
    operation: OperationBuilder,
    has_body: bool,
}

impl Draft {
    /// Refusals are told as the policy tells denials.
    pub(super) fn new(policy: &Policy) -> Self {
        let (components, refusal) = (Components::new(), Ref::from_schema_name(REFUSAL));
        let mut draft = Self { paths: Paths::new(), components, media_type: openapi::media_type(policy), refusal };
        let schema = match policy.error_member() {
            None => {
                draft.schema::<FieldFault>();
                Problem::schema()
            }
            Some(member) => {
                let errors = ArrayBuilder::new().items(draft.schema::<FieldFault>());
                ObjectBuilder::new().property(member, String::schema()).property("errors", errors).required(member).into()
            }
        };
        draft.components.schemas.insert(REFUSAL.to_owned(), schema);
        draft
    }

    pub(super) fn into_document(self, info: Info) -> OpenApi {
        let mut document = OpenApi::new(info, self.paths);
        document.components = Some(self.components);
        document
    }

    /// A reference to a type's schema, which is in the document from now on.
    pub(super) fn schema<T: ToSchema>(&mut self) -> Ref {
        let mut others = Vec::new();
        T::schemas(&mut others);
        self.components.schemas.extend(others);
        self.named(&T::name(), T::schema())
    }

    /// The same for a schema that no type of its own has.
    pub(super) fn named(&mut self, name: &str, schema: impl Into<RefOr<Schema>>) -> Ref {
        self.components.schemas.insert(name.to_owned(), schema.into());
        Ref::from_schema_name(name)
    }

    /// A property that is a text may be a number as well.
    pub(super) fn or_number(&mut self, schema: &str, property: &str) {
        if let Some(RefOr::T(Schema::Object(object))) = self.components.schemas.get_mut(schema)
            && let Some(RefOr::T(Schema::Object(property))) = object.properties.get_mut(property)
        {
            property.schema_type = match std::mem::take(&mut property.schema_type) {
                SchemaType::Type(one) => SchemaType::from_iter([Type::Integer, one]),
                SchemaType::Array(several) => several.into_iter().chain([Type::Integer]).collect(),
                SchemaType::AnyValue => SchemaType::AnyValue,
            };
        }
    }

    pub(super) fn operation(&mut self, tag: &str, id: impl Into<String>, summary: &str) -> Described<'_> {
        let operation = OperationBuilder::new().tag(tag).operation_id(Some(id)).summary(Some(summary));
        Described { draft: self, operation, has_body: false }
    }
}

impl Described<'_> {
    fn set(mut self, change: impl FnOnce(OperationBuilder) -> OperationBuilder) -> Self {
        self.operation = change(self.operation);
        self
    }

    pub(super) fn saying(self, description: &str) -> Self {
        self.set(|operation| operation.description(Some(description)))
    }

    /// For nobody in particular.
    pub(super) fn open(self) -> Self {
        self.set(|operation| operation.securities(Some([])))
    }

    pub(super) fn taking<T: ToSchema>(mut self, media_type: &str, required: Required) -> Self {
        self.has_body = true;
        let content = ContentBuilder::new().schema(Some(self.draft.schema::<T>())).build();
        let body = RequestBodyBuilder::new().content(media_type, content).required(Some(required)).build();
        self.set(|operation| operation.request_body(Some(body)))
    }

    pub(super) fn parameter(self, place: ParameterIn, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        let required = if place == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
        let parameter = parameter.description(Some(description)).schema(Some(schema));
        self.set(|operation| operation.parameter(parameter))
    }

    /// An answer with JSON.
    pub(super) fn answering(self, status: &str, description: &str, schema: Ref) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description(description).content("application/json", content);
        self.set(|operation| operation.response(status, response))
    }

    /// The same, where other forms of it can be asked for.
    pub(super) fn answering_files(self, status: &str, description: &str, schema: Ref, others: &[&str]) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let mut response = ResponseBuilder::new().description(description).content("application/json", content);
        for &media_type in others {
            let text = ObjectBuilder::new().schema_type(Type::String);
            response = response.content(media_type, ContentBuilder::new().schema(Some(text)).build());
        }
        self.set(|operation| operation.response(status, response))
    }

    /// An answer without a body.
    pub(super) fn answering_nothing(self, status: &str, description: &str) -> Self {
        let response = ResponseBuilder::new().description(description);
        self.set(|operation| operation.response(status, response))
    }

    pub(super) fn leading_on(self, description: &str) -> Self {
        let response = ResponseBuilder::new().description(description).header("Location", Header::default());
        self.set(|operation| operation.response("303", response))
    }

    /// The operation goes into the document, with whatever everything here may be refused for, and with `more`.
    pub(super) fn under(mut self, method: HttpMethod, path: &str, more: &[&str]) {
        let with_body: &[_] = if self.has_body { &["413", "415"] } else { &[] };
        let refusal = self.draft.refusal.clone();
        for &status in ["400", "401", "403", "429", "503"].iter().chain(with_body).chain(more) {
            let schema = match status {
                "400" | "401" | "403" | "429" | "503" => denial_or(refusal.clone()),
                _ => refusal.clone().into(),
            };
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new().description(meaning(status)).content(self.draft.media_type, content);
            self.operation = self.operation.response(status, response);
        }
        self.draft.paths.add_path_operation(path, vec![method], self.operation);
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "400" => "Something in the request is wrong: `errors` names each field.",
        "401" => "No key or session, or one that is not valid.",
        "403" => "Not for this key or person, or not from this address.",
        "404" => "It is not there, or is somebody else's.",
        "409" => "As things are, it cannot be done.",
        "413" => "The body is too large.",
        "415" => "The body is of another type.",
        "429" => "Too many bad keys or guesses.",
        _ => "It could not be done now: try again later.",
    }
}
