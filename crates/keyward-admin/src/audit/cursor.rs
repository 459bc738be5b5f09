//! Where a listing goes on, in each of its journals.

use std::fmt;
use std::str::FromStr;

/// Which of two entries comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Newest,
    Oldest,
}

impl Order {
    /// Where no row has been read yet.
    pub(super) fn beginning(self) -> u64 {
        match self {
            Self::Newest => u64::MAX,
            Self::Oldest => 0,
        }
    }

    fn letter(self) -> &'static str {
        match self {
            Self::Newest => "n",
            Self::Oldest => "o",
        }
    }
}

/// A place between two entries: the number of the last row that was read of each journal, whose rows have numbers of their own. So no
/// clock decides what comes on which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) order: Order,
    pub(super) positions: [u64; 3],
}

impl Cursor {
    pub(super) fn beginning(order: Order) -> Self {
        Self { order, positions: [order.beginning(); 3] }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.order.letter())?;
        self.positions.iter().try_for_each(|position| write!(f, "-{position}"))
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let order = match parts.next() {
            Some("n") => Order::Newest,
            Some("o") => Order::Oldest,
            _ => return Err(()),
        };
        let mut positions = [0; 3];
        for position in &mut positions {
            *position = parts.next().and_then(|part| part.parse().ok()).ok_or(())?;
        }
        let cursor = Self { order, positions };
        // In the one way that it is written.
        if cursor.to_string() == text { Ok(cursor) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_are_written() {
        for order in [Order::Newest, Order::Oldest] {
            for positions in [[0, 1, 2], [u64::MAX; 3]] {
                let cursor = Cursor { order, positions };
                assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
        for bad in ["", "n", "n-1-2", "n-1-2-3-4", "x-1-2-3", "n-1-2-+3", "n-01-2-3", "n-1-2-18446744073709551616", "n-1-2-3 "] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
