//! The crawler: from page to page, nearest first, within bounds.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{Sender, error::SendError};
use tokio::time::{Instant, timeout_at};

use crate::fetch::fetch;
use crate::llms_txt;
use crate::page::Page;
use crate::site::{PageAddress, Site};

/// No more pages than that are asked for, whatever a client wants.
const MOST_PAGES: usize = 50;
/// So many links away from where it begins.
const MOST_DEPTH: usize = 5;
/// For one page.
const PAGE_WITHIN: Duration = Duration::from_secs(5);
/// For all of it. What was read by then is the result.
const ALL_WITHIN: Duration = Duration::from_secs(30);

/// A client's first message. What is not known here is ignored, as the published client sends more.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    url: String,
    #[serde(default = "most_pages")]
    max_pages: usize,
    /// Of a description in the result, in characters.
    #[serde(default = "description_length")]
    desc_length: usize,
}

fn most_pages() -> usize {
    MOST_PAGES
}

fn description_length() -> usize {
    500
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "content", rename_all = "lowercase")]
pub(crate) enum Told {
    /// How it goes.
    Log(String),
    /// A page that was read.
    Url(String),
    /// The end: the text of an llms.txt.
    Result(String),
    /// The end: there is none.
    Error(String),
}

/// Crawls, and tells how it goes. Ends early, with an error, if nobody listens any more.
pub(crate) async fn crawl(site: &Site, order: &Order, listener: Sender<Told>) -> Result<(), SendError<Told>> {
    let tell = |told| listener.send(told);
    let start = match site.page(&order.url) {
        Ok(start) => start,
        Err(why) => return tell(Told::Error(format!("{:?} is not crawled: {why}", order.url))).await,
    };
    let until = Instant::now() + ALL_WITHIN;
    let mut known = HashSet::from([start.clone()]);
    let mut waiting = VecDeque::from([(start, 0)]);
    let mut read: Vec<(PageAddress, Page)> = Vec::new();
    let most = order.max_pages.clamp(1, MOST_PAGES);
    let mut asked = 0;
    while let Some((address, depth)) = waiting.pop_front() {
        if asked == most || Instant::now() >= until {
            tell(Told::Log(format!("{} more pages are left out", waiting.len() + 1))).await?;
            break;
        }
        asked += 1;
        let html = match timeout_at(until.min(Instant::now() + PAGE_WITHIN), fetch(site, &address)).await {
            Ok(Ok(html)) => html,
            Ok(Err(why)) => {
                tell(Told::Log(format!("{address} is left out: {why}"))).await?;
                continue;
            }
            Err(_) => {
                tell(Told::Log(format!("{address} is left out: it took too long"))).await?;
                continue;
            }
        };
        let page = Page::read(&html);
        tell(Told::Url(address.to_string())).await?;
        for link in &page.links {
            match site.linked(&address, link) {
                Err(why) => tell(Told::Log(format!("the link {link:?} is not followed: {why}"))).await?,
                Ok(linked) if depth < MOST_DEPTH && known.insert(linked.clone()) => waiting.push_back((linked, depth + 1)),
                Ok(_) => {}
            }
        }
        read.push((address, page));
    }
    tell(match read[..] {
        [] => Told::Error("no page could be read".to_owned()),
        _ => Told::Result(llms_txt::write(&read, order.desc_length)),
    })
    .await
}

#[cfg(test)]
mod tests;
