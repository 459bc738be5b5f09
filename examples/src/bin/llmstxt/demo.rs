//! The pages that there are to crawl.

use http::{HeaderValue, Response, StatusCode, header};

/// The answer at this path below `/demo/`.
pub(crate) fn answer(path: &str) -> Response<&'static str> {
    let page = match path {
        "" | "index.html" => include_str!("demo/index.html"),
        "install.html" => include_str!("demo/install.html"),
        "reference.html" => include_str!("demo/reference.html"),
        "guides/" => include_str!("demo/guides.html"),
        "guides/first-table.html" => include_str!("demo/first-table.html"),
        "guides/harbours.html" => include_str!("demo/harbours.html"),
        // A page that leads away from the pages, where no crawler may follow it.
        "status.html" => return elsewhere("/health"),
        _ => return not_found(),
    };
    html(StatusCode::OK, page)
}

fn not_found() -> Response<&'static str> {
    html(StatusCode::NOT_FOUND, "<!DOCTYPE html><title>Not found</title>")
}

fn html(status: StatusCode, page: &'static str) -> Response<&'static str> {
    let mut answer = Response::new(page);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

fn elsewhere(location: &'static str) -> Response<&'static str> {
    let mut answer = Response::new("");
    *answer.status_mut() = StatusCode::FOUND;
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static(location));
    answer
}
