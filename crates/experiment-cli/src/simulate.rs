//! `simulate`.
use crate::{arguments::Simulate, failure::Failure, page::Page};
pub(crate) fn simulate(_arguments: Simulate) -> Result<Page, Failure> {
    Ok(Page::default())
}
