//! [`CohortReader`]: the body of a cohort, read as it arrives.

use super::{
    json::{Kind, Listener, Tokens},
    set::CohortSetBuilder,
};

/// How many bytes an id may have. Amplitude's own limit for user ids is 1,024 characters.
const LONGEST_ID: usize = 64 * 1024;

/// The group type of a cohort that names none: its members are users.
pub(crate) const USER: &str = "User";

/// Reads `{"cohortId", "groupType", "lastModified", "memberIds": […], …}` in pieces of any size, in
/// any order of fields, with any others among them. Members go into the set one by one: the body
/// as a whole is never held.
///
/// An id is a string, or a number as it is written; `null` among the ids is skipped. Without
/// `groupType` the members are users, without `memberIds` there are none.
#[derive(Debug)]
pub(crate) struct CohortReader {
    tokens: Tokens,
    body: Body,
}

/// What the body of a cohort says.
#[derive(Debug)]
pub(crate) struct CohortBody {
    pub(crate) id: Option<String>,
    pub(crate) group_type: String,
    /// When the cohort changed last, in Unix milliseconds; the service is told this number next time.
    pub(crate) last_modified: Option<i64>,
    pub(crate) members: CohortSetBuilder,
    /// Whether it says that it is a cohort: it has `cohortId` or `memberIds`.
    pub(crate) is_cohort: bool,
}

/// The body of a cohort is malformed. Nothing of its content is in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}, {}: {reason}", within(*field))]
pub(crate) struct CohortReadError {
    /// The position of the first byte that is wrong.
    pub(crate) at: u64,
    /// The field in which it stands, if it is one that is known here.
    pub(crate) field: Option<&'static str>,
    /// What is wrong.
    pub(crate) reason: &'static str,
}

fn within(field: Option<&'static str>) -> String {
    field.map_or_else(
        || "outside of known fields".to_owned(),
        |name| format!("`{name}`"),
    )
}

impl CohortReader {
    pub(crate) fn new() -> Self {
        Self {
            tokens: Tokens::new(LONGEST_ID),
            body: Body::default(),
        }
    }

    /// Reads the next piece.
    ///
    /// # Errors
    ///
    /// The body cannot become a cohort any more.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), CohortReadError> {
        let read = self.tokens.push(piece, &mut self.body);
        read.map_err(|wrong| self.error(wrong.at, wrong.reason))
    }

    /// What the body says, now that it is over.
    ///
    /// # Errors
    ///
    /// It has not come to its end.
    pub(crate) fn finish(self) -> Result<CohortBody, CohortReadError> {
        self.tokens
            .finish()
            .map_err(|wrong| self.error(wrong.at, wrong.reason))?;
        Ok(CohortBody {
            id: self.body.id,
            group_type: self.body.group_type.unwrap_or_else(|| USER.to_owned()),
            last_modified: self.body.last_modified,
            members: self.body.members,
            is_cohort: [Field::Id, Field::Members]
                .iter()
                .any(|field| self.body.seen.contains(field)),
        })
    }

    fn error(&self, at: u64, reason: &'static str) -> CohortReadError {
        CohortReadError {
            at,
            field: self.body.field.map(Field::name),
            reason,
        }
    }
}

/// The fields that are needed; all others are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    GroupType,
    LastModified,
    Members,
}

impl Field {
    const ALL: [Self; 4] = [Self::Id, Self::GroupType, Self::LastModified, Self::Members];

    fn name(self) -> &'static str {
        match self {
            Self::Id => "cohortId",
            Self::GroupType => "groupType",
            Self::LastModified => "lastModified",
            Self::Members => "memberIds",
        }
    }

    /// Whether its value may be of this kind.
    ///
    /// # Errors
    ///
    /// What it takes.
    fn takes(self, kind: Kind) -> Result<(), &'static str> {
        match (self, kind) {
            (_, Kind::Null)
            | (Self::Id, Kind::Text | Kind::Number)
            | (Self::GroupType, Kind::Text)
            | (Self::LastModified, Kind::Number)
            | (Self::Members, Kind::List) => Ok(()),
            (Self::Id | Self::GroupType, _) => Err("expected a string"),
            (Self::LastModified, _) => Err(EXPECTED_INTEGER),
            (Self::Members, _) => Err("expected a list"),
        }
    }
}

const EXPECTED_INTEGER: &str = "expected an integer";

/// What has been read of a body so far.
#[derive(Debug, Default)]
struct Body {
    id: Option<String>,
    group_type: Option<String>,
    last_modified: Option<i64>,
    members: CohortSetBuilder,
    /// How many lists and objects are around the place: 1 within the body itself.
    depth: usize,
    /// The field of the body that is being read, if it is known.
    field: Option<Field>,
    /// What is being read now is a key of the body.
    at_key: bool,
    seen: Vec<Field>,
}

impl Listener for Body {
    fn begin(&mut self, kind: Kind) -> Result<bool, &'static str> {
        let wanted = match (self.depth, kind, self.field) {
            (1, Kind::Key, _) => {
                self.field = None;
                self.at_key = true;
                true
            }
            (1, kind, Some(field)) => {
                field.takes(kind)?;
                matches!(kind, Kind::Text | Kind::Number)
            }
            (2, kind, Some(Field::Members)) => match kind {
                Kind::Text | Kind::Number => true,
                Kind::Null => false,
                _ => return Err("expected ids"),
            },
            _ => false,
        };
        if matches!(kind, Kind::List | Kind::Object) {
            self.depth = self.depth.saturating_add(1);
        }
        Ok(wanted)
    }

    fn text(&mut self, text: &str) -> Result<(), &'static str> {
        if std::mem::take(&mut self.at_key) {
            self.field = Field::ALL.into_iter().find(|field| field.name() == text);
            if let Some(field) = self.field {
                if self.seen.contains(&field) {
                    return Err("the field stands there twice");
                }
                self.seen.push(field);
            }
            return Ok(());
        }
        match self.field {
            Some(Field::Members) => self.members.push(text),
            Some(Field::Id) => self.id = Some(text.to_owned()),
            Some(Field::GroupType) => self.group_type = Some(text.to_owned()),
            Some(Field::LastModified) => {
                self.last_modified = Some(text.parse().map_err(|_| EXPECTED_INTEGER)?);
            }
            None => {}
        }
        Ok(())
    }

    fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.field = None;
        }
    }
}
