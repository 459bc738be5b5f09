//! Keys: how they look, what is stored of them, and when they are live.

mod argon2id;
mod digest;
mod format;
mod record;
mod state;

pub(crate) use argon2id::{Abandoned, Verifications};
pub use argon2id::{Argon2Hash, UnusableHash};
pub use digest::{KeyDigest, Pepper, PepperError, Peppers};
pub(crate) use format::is_damaged;
pub use format::{BadPrefix, KeyPrefix, check, display_prefix, generate, parse};
pub use record::{Epoch, KeyId, NotAKeyId, Record, Slot, StoredSecret};
pub(crate) use state::Standing;
pub use state::{NotAState, State};
