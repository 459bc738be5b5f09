//! One GET: of a page of the site, without redirects, of so many bytes and no more.

use std::fmt;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::site::{PageAddress, Site};

/// No page is larger.
pub(crate) const MOST_BYTES: usize = 256 * 1024;

/// Reads a page. It takes as long as it takes: callers bound the time.
pub(crate) async fn fetch(site: &Site, page: &PageAddress) -> Result<Bytes, NotRead> {
    let stream = TcpStream::connect(site.address()).await.map_err(|_| NotRead::Connection)?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| NotRead::Connection)?;
    // Ends with this function, also where that is dropped.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::get(site.path(page))
        .header(header::HOST, site.address().to_string())
        .header(header::USER_AGENT, "keyward-llmstxt")
        .header(header::ACCEPT, "text/html")
        .body(Empty::<Bytes>::new())
        .map_err(|_| NotRead::Connection)?;
    let answer = client.send_request(request).await.map_err(|_| NotRead::Connection)?;
    if answer.status().is_redirection() {
        return Err(NotRead::Redirect);
    }
    if answer.status() != StatusCode::OK {
        return Err(NotRead::Status(answer.status()));
    }
    let media_type = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html") {
        return Err(NotRead::NoPage);
    }
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| match error.downcast_ref::<http_body_util::LengthLimitError>() {
        Some(_) => NotRead::TooLarge,
        None => NotRead::Connection,
    })
}

/// Why a page was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotRead {
    Connection,
    /// Nobody looks at where to.
    Redirect,
    Status(StatusCode),
    NoPage,
    TooLarge,
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("the connection ended"),
            Self::Redirect => f.write_str("it is a redirect, and those are not followed"),
            Self::Status(status) => write!(f, "the answer is {}", status.as_u16()),
            Self::NoPage => f.write_str("it is not HTML"),
            Self::TooLarge => write!(f, "it has more than {MOST_BYTES} bytes"),
        }
    }
}
