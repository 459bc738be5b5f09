//! The dashboard as people meet it: in Chromium, over real sockets. What they do is written in JavaScript beside this file, for Playwright;
//! it is run in Node with exactly what `package-lock.json` pins.
//!
//! Without Chromium, Node or npm these tests fail. Pictures of every page are left in `target/tmp/browser/pictures`.

mod program;
mod scenario;
mod site;

use program::Program;
use scenario::Scenario;
use site::Site;

#[test]
fn the_way_of_a_key_from_signing_up_to_its_end() {
    Scenario::new("journey.mjs").at(&Site::start());
}

#[test]
fn every_page_in_light_and_dark_on_screens_of_every_width() {
    Scenario::new("pages.mjs").at(&Site::start());
}

#[test]
fn names_are_text_wherever_they_stand() {
    Scenario::new("names.mjs").at(&Site::start());
}

#[test]
fn pages_of_other_sites_and_planted_cookies_change_nothing() {
    Scenario::new("attacks.mjs").at(&Site::start());
}

#[test]
fn by_keyboard_alone() {
    Scenario::new("keyboard.mjs").at(&Site::start());
}

#[test]
fn without_scripts() {
    Scenario::new("no_script.mjs").at(&Site::start());
}

#[test]
fn what_must_not_be_on_a_page_is_seen_by_these_tests() {
    Scenario::new("watch.mjs").at(&Site::start());
}

#[test]
fn the_program_as_it_is_run() {
    Scenario::new("program.mjs").at_program(&Program::start());
}
