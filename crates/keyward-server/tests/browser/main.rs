//! The dashboard as people meet it: in Chromium, over real sockets. What they do is written in JavaScript beside this file, for Playwright;
//! it is run in Node with exactly what `package-lock.json` pins.
//!
//! Without Chromium, Node or npm these tests fail. Pictures of every page are left in `target/tmp/browser/pictures`.

mod scenario;
mod site;

use scenario::Scenario;
use site::Site;

#[test]
fn every_page_in_light_and_dark_on_screens_of_every_width() {
    Scenario::new("pages.mjs").at(&Site::start());
}
