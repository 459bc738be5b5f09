//! Writes an llms.txt: a title, what it is about, and a list of links with their descriptions.

use std::fmt::Write as _;

use crate::page::Page;
use crate::site::PageAddress;

/// The first page is the one that the whole is named after.
pub(crate) fn write(pages: &[(PageAddress, Page)], description_length: usize) -> String {
    let Some((first, front)) = pages.first() else { return String::new() };
    let mut text = format!("# {}\n", named(first, front));
    if !front.description.is_empty() {
        let _ = write!(text, "\n> {}\n", cut(&front.description, description_length));
    }
    text.push_str("\n## Pages\n\n");
    for (address, page) in pages {
        let _ = write!(text, "- [{}]({address})", named(address, page));
        if !page.description.is_empty() {
            let _ = write!(text, ": {}", cut(&page.description, description_length));
        }
        text.push('\n');
    }
    text
}

/// A title cannot end the link that it is in.
fn named(address: &PageAddress, page: &Page) -> String {
    if page.title.is_empty() {
        return address.to_string();
    }
    page.title.replace('\\', r"\\").replace('[', r"\[").replace(']', r"\]")
}

fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::site::Site;

    #[test]
    fn titles_and_descriptions_keep_to_their_places() {
        let site = Site::served_at(SocketAddr::from(([127, 0, 0, 1], 8000)));
        let page = |path: &str, title: &str, description: &str| {
            let address = site.page(&format!("http://127.0.0.1:8000/demo/{path}")).unwrap();
            (address, Page { title: title.to_owned(), description: description.to_owned(), links: Vec::new() })
        };
        let pages = [page("", "Tides", "What the sea does"), page("a", "", ""), page("b", "x](http://evil) [y", "äöü and more")];
        assert_eq!(
            write(&pages, 8),
            "# Tides\n\n> What the…\n\n## Pages\n\n\
             - [Tides](http://127.0.0.1:8000/demo/): What the…\n\
             - [http://127.0.0.1:8000/demo/a](http://127.0.0.1:8000/demo/a)\n\
             - [x\\](http://evil) \\[y](http://127.0.0.1:8000/demo/b): äöü and…\n"
        );
        assert_eq!(write(&[], 8), "");
    }
}
