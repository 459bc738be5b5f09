//! Headers in both versions of `http`, made once where that is possible.
//!
//! actix-web 4 speaks version 0.2 of `http`, the core version 1, and neither lends its bytes to the other: making a name or a
//! value anew allocates, cloning one does not.

use std::cell::RefCell;

use actix_web::http::header::{self, HeaderName, HeaderValue, InvalidHeaderName};
use keyward::{Guard, SourceKind};

/// What a guard names, in actix-web's types.
#[derive(Debug)]
pub(crate) struct Names {
    wanted: Vec<HeaderName>,
    stripped: Vec<HeaderName>,
    /// Those of answers, as they come. All of them are the policy's, so there are few.
    answered: RefCell<Vec<Answered>>,
}

#[derive(Debug)]
struct Answered {
    name: http::HeaderName,
    same_name: HeaderName,
    constant: Option<(http::HeaderValue, HeaderValue)>,
}

impl Names {
    /// Prepares what can be known before the first request.
    pub(crate) fn of(guard: &Guard) -> Result<Self, InvalidHeaderName> {
        let wanted = guard.headers().iter().map(|name| HeaderName::from_bytes(name.as_ref())).collect::<Result<_, _>>()?;
        let mut stripped = Vec::new();
        for (kind, name, _) in guard.policy().sources() {
            let name = match kind {
                SourceKind::Query => continue,
                SourceKind::Cookie => header::COOKIE,
                SourceKind::Subprotocol => header::SEC_WEBSOCKET_PROTOCOL,
                _ => HeaderName::from_bytes(name.as_bytes())?,
            };
            if !stripped.contains(&name) {
                stripped.push(name);
            }
        }
        Ok(Self { wanted, stripped, answered: RefCell::default() })
    }

    /// The header that the guard wants to see at this place of its list.
    pub(crate) fn wanted(&self, index: usize) -> Option<&HeaderName> {
        self.wanted.get(index)
    }

    /// The headers in which credentials may stand.
    pub(crate) fn stripped(&self) -> &[HeaderName] {
        &self.stripped
    }

    /// The same header of an answer for actix-web. A constant value is that of all answers, and kept.
    pub(crate) fn answered(
        &self,
        name: &http::HeaderName,
        value: &http::HeaderValue,
        is_constant: bool,
    ) -> Option<(HeaderName, HeaderValue)> {
        let mut answered = self.answered.borrow_mut();
        let place = match answered.iter().position(|known| known.name == *name) {
            Some(place) => place,
            None => {
                answered.push(Answered { name: name.clone(), same_name: same_name(name)?, constant: None });
                answered.len() - 1
            }
        };
        let known = &mut answered[place];
        if let (true, Some((kept, same))) = (is_constant, &known.constant)
            && kept == value
        {
            return Some((known.same_name.clone(), same.clone()));
        }
        let same = same_value(value)?;
        if is_constant {
            known.constant = Some((value.clone(), same.clone()));
        }
        Some((known.same_name.clone(), same))
    }
}

pub(crate) fn same_name(name: &http::HeaderName) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_ref()).ok()
}

pub(crate) fn same_value(value: &http::HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}
