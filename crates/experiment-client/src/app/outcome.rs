//! What an app client answers: [`ResolvedVariant`], [`FetchOutcome`], [`Started`].

use experiment_model::Variant;

use super::resolution::{Resolution, VariantSource};
use crate::{error::Error, remote::MalformedVariant};

/// A variant and where it is from.
///
/// ```
/// use experiment_client::{AppClient, test_kit::{InMemoryTransport, Script}};
///
/// let client = AppClient::builder("client-3cFg7a")
///     .transport(InMemoryTransport::new(Script::new()))
///     .build()?;
/// let nothing = client.variant("unheard-of", None);
/// assert_eq!((nothing.source, nothing.variant.key), (None, None));
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ResolvedVariant {
    /// The variant; empty if nobody knows one.
    pub variant: Variant,
    /// Where it is from; `None` if nobody knows one.
    pub source: Option<VariantSource>,
}

impl ResolvedVariant {
    pub(crate) fn new(resolution: Resolution<'_>) -> Self {
        match resolution.found {
            Some((variant, source)) => Self {
                variant: variant.clone(),
                source: Some(source),
            },
            None => Self::default(),
        }
    }

    /// Whether the text of the variant's value is `value`.
    pub fn is(&self, value: &str) -> bool {
        self.variant.is(value)
    }
}

/// What became of a fetch that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchOutcome {
    /// The variants are in use.
    Stored {
        /// How many came.
        variants: usize,
        /// What came in place of a variant and is none. Those flags have no fetched variant now.
        malformed: Vec<MalformedVariant>,
    },
    /// They are not: meanwhile another user was set, everything was cleared, or a later fetch was
    /// stored.
    Superseded,
}

/// What the two halves of a start came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Started {
    /// Flags. [`Error::Closed`] if the client was stopped meanwhile.
    pub flags: Result<(), Error>,
    /// Variants; `None` if starting does not fetch them.
    pub variants: Option<Result<FetchOutcome, Error>>,
}

impl Started {
    /// One result for both.
    ///
    /// # Errors
    ///
    /// The error of the variants, or else that of the flags.
    pub fn into_result(self) -> Result<(), Error> {
        if let Some(Err(error)) = self.variants {
            return Err(error);
        }
        self.flags
    }
}
