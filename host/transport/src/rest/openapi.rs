//! `/openapi.json`: the routes and types of this folder, as OpenAPI 3.1.
//!
//! Invariant: nothing is written twice. Paths and types come from the handlers; ids, tags, the token and what every
//! operation can answer when it fails are the same for all and added here.

use utoipa::PartialSchema as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
};

use super::cluster::FailureView;
use super::error::ProblemView;

const TOKEN: &str = "token";

/// Who the API is; paths follow.
pub(super) fn about() -> OpenApi {
    let mut info = Info::new("Pilothouse", env!("CARGO_PKG_VERSION"));
    info.description = Some("A WebAssembly-pluggable policy host for federations of clusters.".to_owned());
    let mut components = Components::new();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    let schemas: [(&str, RefOr<Schema>); 2] =
        [("Problem", ProblemView::schema()), ("Failure", FailureView::schema())];
    components.schemas.extend(schemas.map(|(name, schema)| (name.to_owned(), schema)));
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        // Either is enough: a token is demanded if one is configured.
        .security(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new(TOKEN, Vec::<String>::new()),
        ]))
        .build()
}

/// The document as text.
pub(super) fn document(mut api: OpenApi) -> String {
    for (path, item) in &mut api.paths.paths {
        let operations = [("get", &mut item.get), ("post", &mut item.post), ("delete", &mut item.delete)];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                complete(path, method, operation);
            }
        }
    }
    serde_json::to_string_pretty(&api).unwrap_or_default()
}

fn complete(path: &str, method: &str, operation: &mut Operation) {
    let words: Vec<&str> =
        path.split('/').map(|word| word.trim_matches(['{', '}'])).filter(|word| !word.is_empty()).collect();
    operation.operation_id = Some(format!("{method}-{}", words.join("-")));
    let (tag, schema, content_type) = match words.as_slice() {
        ["api", "cluster", ..] => ("cluster", "Failure", "application/json"),
        ["api", ..] => ("v1", "Problem", "application/problem+json"),
        _ => ("server", "Problem", "application/problem+json"),
    };
    operation.tags = Some(vec![tag.to_owned()]);
    let schema = Ref::from_schema_name(schema);
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let failed = ResponseBuilder::new().description("What went wrong.").content(content_type, content);
    operation.responses.responses.insert("default".to_owned(), RefOr::T(failed.build()));
}
