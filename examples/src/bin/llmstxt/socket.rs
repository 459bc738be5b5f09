//! The conversation on the WebSocket: an order in, and messages until the crawl has ended.

use std::time::Duration;

use keyward_warp::HeldSocket;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;
use warp::ws::Message;

use crate::crawl::{Order, Told, crawl};
use crate::site::Site;

/// So many crawls go on at once. One more is refused: whoever has a token could otherwise have this program read pages without end.
static CRAWLS: Semaphore = Semaphore::const_new(8);

/// A client that has opened a connection says what it wants within this time.
const FIRST_MESSAGE_WITHIN: Duration = Duration::from_secs(30);
/// A client takes a message within this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// And all of them within this, however many there are. The crawler has a shorter time of its own, and waits for the client.
const ALL_WITHIN: Duration = Duration::from_secs(120);

pub(crate) async fn talk(site: Site, mut socket: HeldSocket) {
    let Some(first) = first_message(&mut socket).await else { return };
    let Ok(_crawl) = CRAWLS.try_acquire() else {
        refuse(&mut socket).await;
        return;
    };
    let (tell, told) = channel(16);
    let crawling = async {
        // An error is that the client has gone, which `pass_on` knows, too.
        let _ = match serde_json::from_str::<Order>(&first) {
            Ok(order) => crawl(&site, &order, tell).await,
            Err(_) => tell.send(Told::Error(HOW_TO_BEGIN.to_owned())).await,
        };
    };
    let crawled = timeout(ALL_WITHIN, async { tokio::join!(crawling, pass_on(told, &mut socket)) }).await;
    if matches!(crawled, Ok(((), true))) && socket.send(Message::close_with(1000_u16, "")).await.is_ok() {
        // Up to the client's own close frame, so that it has read all that was sent.
        let _ = timeout(TAKEN_WITHIN, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }
}

const HOW_TO_BEGIN: &str = r#"the first message says what to crawl, like {"url":"http://127.0.0.1:8000/demo/"}"#;

async fn refuse(socket: &mut HeldSocket) {
    let told = Told::Error("too many crawls go on at once: try again later".to_owned());
    let Ok(text) = serde_json::to_string(&told) else { return };
    let refused = async {
        socket.send(Message::text(text)).await?;
        socket.send(Message::close_with(1013_u16, "try again later")).await
    };
    let _ = timeout(TAKEN_WITHIN, refused).await;
}

/// The first text; `None` if there is none in time.
async fn first_message(socket: &mut HeldSocket) -> Option<String> {
    timeout(FIRST_MESSAGE_WITHIN, async {
        loop {
            let message = socket.recv().await?.ok()?;
            if message.is_text() || message.is_binary() {
                return Some(message.to_str().unwrap_or_default().to_owned());
            }
        }
    })
    .await
    .ok()
    .flatten()
}

/// Whether the client has taken all of it. As soon as it does not, the crawler hears that nobody listens.
async fn pass_on(mut told: Receiver<Told>, socket: &mut HeldSocket) -> bool {
    while let Some(told) = told.recv().await {
        let Ok(text) = serde_json::to_string(&told) else { return false };
        if !matches!(timeout(TAKEN_WITHIN, socket.send(Message::text(text))).await, Ok(Ok(()))) {
            return false;
        }
    }
    true
}
