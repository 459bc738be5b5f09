//! `POST /api/ask`: a question about a workspace, answered from its files.

use actix_web::error::{InternalError, JsonPayloadError};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::search::{Found, Hit, search};
use crate::workspace;

const LARGEST_BODY: usize = 16 * 1024;
const LONGEST_QUESTION: usize = 2_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Question {
    workspace_id: String,
    question: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    workspace_id: &'a str,
    answer: String,
    sources: Vec<Hit>,
}

pub(crate) async fn ask(asked: web::Json<Question>) -> HttpResponse {
    let Question { workspace_id, question } = asked.into_inner();
    let question = question.trim();
    if question.is_empty() || question.len() > LONGEST_QUESTION {
        return error(StatusCode::BAD_REQUEST, &format!("`question` is 1 to {LONGEST_QUESTION} bytes of text"));
    }
    let Some(files) = workspace::files(&workspace_id) else {
        return error(StatusCode::NOT_FOUND, "Workspace not found");
    };
    let found = search(files, question);
    HttpResponse::Ok().json(Answer { workspace_id: &workspace_id, answer: told(&found), sources: found.hits })
}

/// What was found, in words. What the question said comes back as words alone, and not as it was written.
fn told(found: &Found) -> String {
    let words = found.words.join(", ");
    match &found.hits[..] {
        [] if found.words.is_empty() => "The question has no words to look for.".to_owned(),
        [] => format!("Nothing in this workspace mentions: {words}."),
        [best, others @ ..] => {
            let others = match others.len() {
                0 => String::new(),
                1 => " One more line mentions some of it.".to_owned(),
                some => format!(" {some} more lines mention some of it."),
            };
            format!("Looking for {words}: {}:{} says \u{201c}{}\u{201d}.{others}", best.file, best.line, best.text)
        }
    }
}

/// What bodies may be, and what those are answered with that are not.
pub(crate) fn bodies() -> web::JsonConfig {
    web::JsonConfig::default().limit(LARGEST_BODY).error_handler(unreadable)
}

fn unreadable(problem: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let answer = match &problem {
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            error(StatusCode::PAYLOAD_TOO_LARGE, &format!("The body is larger than {LARGEST_BODY} bytes"))
        }
        JsonPayloadError::ContentType => error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send application/json"),
        _ => error(StatusCode::BAD_REQUEST, "Send JSON like {\"workspaceId\": \"workspace-123\", \"question\": \"…\"}"),
    };
    InternalError::from_response(problem, answer).into()
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
}

pub(crate) fn error(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status).json(Refused { error: text })
}
