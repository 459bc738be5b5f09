//! What is in a page: its title, what it says of itself, and where it leads.

use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};

/// No page has more links, as far as we are concerned.
const MOST_LINKS: usize = 200;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Empty if it has none.
    pub(crate) title: String,
    /// Of its `<meta name="description">`. Empty if it has none.
    pub(crate) description: String,
    /// As they are written, in their order.
    pub(crate) links: Vec<String>,
}

impl Page {
    /// Reads HTML as browsers read it into tokens. There is no tree: nothing here depends on what is nested in what. A `<base>` is not
    /// looked at: links are those of the page's own address.
    pub(crate) fn read(html: &[u8]) -> Self {
        let mut emitter = DefaultEmitter::default();
        // Scripts, styles and titles hold no tags.
        emitter.naively_switch_states(true);
        let mut page = Self::default();
        let (mut is_in_title, mut title) = (false, None);
        for token in Tokenizer::new_with_emitter(html, emitter) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) => match &tag.name[..] {
                    // The first alone: drawings in a page have titles, too.
                    b"title" if title.is_none() => (is_in_title, title) = (true, Some(String::new())),
                    b"meta" if value(&tag, b"name").eq_ignore_ascii_case("description") => {
                        page.description = in_one_line(&value(&tag, b"content"));
                    }
                    b"a" | b"area" if tag.attributes.contains_key(&b"href"[..]) && page.links.len() < MOST_LINKS => {
                        page.links.push(value(&tag, b"href"));
                    }
                    _ => {}
                },
                Token::EndTag(tag) if tag.name[..] == *b"title" => is_in_title = false,
                Token::String(text) if is_in_title => {
                    if let Some(title) = &mut title {
                        title.push_str(&String::from_utf8_lossy(&text));
                    }
                }
                _ => {}
            }
        }
        page.title = in_one_line(&title.unwrap_or_default());
        page
    }
}

fn value(tag: &StartTag<()>, name: &[u8]) -> String {
    let value = tag.attributes.get(&HtmlString::from(name.to_vec()));
    value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

fn in_one_line(text: &str) -> String {
    text.split(|character: char| character.is_whitespace() || character.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_by_browsers() {
        let page = Page::read(
            br#"<!DOCTYPE html><TITLE>Tides &amp;
                currents <b></TITLE><meta content="What   the sea does" NAME=Description>
            <script>document.write('<a href="/script">no</a>')</script><!-- <a href="/comment">no</a> -->
            <p><a href=one.html>one</a><a class=x HREF='two.html?a=1&amp;b=2'>two<a href="">three
            <svg><title>A drawing</title></svg><a name=anchor>none</a><style>a::after{content:'<a href=/style>'}</style><a href="four"#,
        );
        assert_eq!(page.title, "Tides & currents <b>");
        assert_eq!(page.description, "What the sea does");
        assert_eq!(page.links, ["one.html", "two.html?a=1&b=2", ""]);
    }

    #[test]
    fn what_is_no_page_is_an_empty_one() {
        for html in [&b""[..], b"\xff\xfe\x00", b"<", b"{\"json\":1}"] {
            assert_eq!(Page::read(html), Page::default());
        }
    }

    #[test]
    fn a_page_of_nothing_but_links_ends() {
        assert_eq!(Page::read("<a href=x>".repeat(10_000).as_bytes()).links.len(), MOST_LINKS);
    }
}
