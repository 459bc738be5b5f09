//! Keys: how they look, what is stored of them, and when they are live.

mod argon2id;
mod bounds;
mod digest;
mod format;
mod pepper_marks;
mod record;
mod state;

pub(crate) use argon2id::{Abandoned, Verifications};
pub use argon2id::{Argon2Hash, UnusableHash};
pub use bounds::BadField;
pub(crate) use bounds::Fields;
pub use digest::{KeyDigest, Pepper, PepperError, Peppers};
pub use format::{BadPrefix, KeyPrefix, check, display_prefix, generate, parse};
pub(crate) use format::{LENGTH_BEHIND_PREFIX, is_damaged};
pub use pepper_marks::PepperMismatch;
pub(crate) use pepper_marks::{Marks as PepperMarks, compare as compare_peppers};
pub use record::{Epoch, KeyId, NotAKeyId, Record, Slot, StoredSecret};
pub(crate) use state::Standing;
pub use state::{NotAState, State};
