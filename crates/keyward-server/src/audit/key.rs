//! The key of a keyed chain, from a file that only its owner can read.

use std::path::Path;

use keyward::audit::chain::ChainKey;

use crate::failure::Failure;
use crate::private_file;
use crate::setting::Setting;

/// What is read at most; a key has one line.
const LARGEST: u64 = 64 * 1024;

/// None: a plain chain.
pub(crate) fn read(setting: Option<&Setting>) -> Result<Option<ChainKey>, Failure> {
    let Some(Setting { value, name }) = setting else { return Ok(None) };
    let text = private_file::read(name, Path::new(value), LARGEST, "the key of an audit chain")?;
    let key = text.expose().parse().map_err(|weak| Failure::Configuration(format!("{name}: {weak}")))?;
    Ok(Some(key))
}
