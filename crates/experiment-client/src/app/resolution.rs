//! Which of the places that know a variant is believed: [`resolve`].

use experiment_model::Variant;

/// Which variants are believed first.
///
/// The answer to [`AppClient::variant`](super::AppClient::variant) is the first of these that there
/// is:
///
/// | | `LocalStorage` | `InitialVariants` | a flag in local mode, with either |
/// |---|---|---|---|
/// | 1 | fetched variant, not a default | initial variant | evaluated variant, not a default |
/// | 2 | fallback of the call | fetched variant, not a default | fallback of the call |
/// | 3 | initial variant | fallback of the call | initial variant |
/// | 4 | fallback of the client | fallback of the client | fallback of the client |
/// | 5 | fetched default variant | fetched default variant | evaluated default variant |
///
/// A flag in remote mode for which none of the five gives anything is evaluated here, if its
/// configuration was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Those of the last fetch, which are kept in the [`Storage`](super::Storage). The default.
    #[default]
    LocalStorage,
    /// The initial variants that the client was built with.
    InitialVariants,
}

/// Where a variant comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VariantSource {
    /// The last fetch.
    Storage,
    /// The initial variants, which are believed first ([`Source::InitialVariants`]).
    Initial,
    /// The initial variants, because what is believed first gave nothing in particular.
    SecondaryInitial,
    /// The fallback of the call.
    FallbackInline,
    /// The fallback that the client was built with.
    FallbackConfig,
    /// A flag that was evaluated here.
    LocalEvaluation,
}

impl VariantSource {
    /// The name that the official client-side SDKs give it, such as `fallback-inline`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Initial => "initial",
            Self::SecondaryInitial => "secondary-initial",
            Self::FallbackInline => "fallback-inline",
            Self::FallbackConfig => "fallback-config",
            Self::LocalEvaluation => "local-evaluation",
        }
    }

    /// Whether the variant stands in for one that nobody assigned: showing it is no exposure.
    pub fn is_fallback(self) -> bool {
        matches!(
            self,
            Self::SecondaryInitial | Self::FallbackInline | Self::FallbackConfig
        )
    }
}

/// What is known about one flag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    /// Of the last fetch.
    pub(crate) stored: Option<&'a Variant>,
    /// Of the initial variants.
    pub(crate) initial: Option<&'a Variant>,
    /// The fallback of the call.
    pub(crate) inline: Option<&'a Variant>,
    /// The fallback that the client was built with.
    pub(crate) configured: Option<&'a Variant>,
}

/// Whether a flag can, or must, be evaluated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Configuration {
    /// There is no such flag.
    Unknown,
    /// It is evaluated by the service, and here only if nothing else is known.
    Remote,
    /// It is evaluated here, whatever else is known.
    Local,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Resolution<'a> {
    /// The variant and where it is from; `None` if nobody knows one.
    pub(crate) found: Option<(&'a Variant, VariantSource)>,
    /// Whether the flag has a default variant that gave way to a fallback, or is the answer: then
    /// the user is in none of the flag's variants, which is worth telling.
    pub(crate) assigned_default: bool,
}

/// Chooses a variant. `evaluate` evaluates the flag here; it is called at most once, and only if the
/// answer depends on it.
///
/// The order is that of the official client-side SDKs (192 rows in the tests): a variant in
/// particular from what is believed first, then the fallbacks, then the default variant. A flag in
/// local mode takes its evaluation in place of the first; so does any other known flag for which
/// nothing was found.
pub(crate) fn resolve<'a>(
    source: Source,
    known: Known<'a>,
    configuration: Configuration,
    evaluate: impl FnOnce() -> Option<&'a Variant>,
) -> Resolution<'a> {
    if configuration != Configuration::Local {
        let resolution = not_evaluated(source, known);
        if resolution.found.is_some() || configuration == Configuration::Unknown {
            return resolution;
        }
    }
    given(evaluate(), VariantSource::LocalEvaluation, known)
}

fn not_evaluated(source: Source, known: Known<'_>) -> Resolution<'_> {
    match (source, known.initial) {
        (Source::InitialVariants, Some(initial)) => Resolution {
            found: Some((initial, VariantSource::Initial)),
            assigned_default: false,
        },
        _ => given(known.stored, VariantSource::Storage, known),
    }
}

/// `assigned` unless it is a default variant and there is a fallback.
fn given<'a>(
    assigned: Option<&'a Variant>,
    source: VariantSource,
    known: Known<'a>,
) -> Resolution<'a> {
    let assigned_default = assigned.is_some_and(Variant::is_default);
    let assigned = assigned.map(|variant| (variant, source));
    let fallbacks = [
        (known.inline, VariantSource::FallbackInline),
        (known.initial, VariantSource::SecondaryInitial),
        (known.configured, VariantSource::FallbackConfig),
    ];
    let fallback = fallbacks
        .into_iter()
        .find_map(|(variant, source)| Some((variant?, source)));
    Resolution {
        found: if assigned_default {
            fallback.or(assigned)
        } else {
            assigned.or(fallback)
        },
        assigned_default,
    }
}
