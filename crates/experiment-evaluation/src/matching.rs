//! Whether a property satisfies a condition: absent values, lists, and the operators.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{cmp::Ordering, fmt::Write};

use experiment_model::{Operator, Text};
use hashbrown::HashSet;
use memchr::memmem::Finder;

use crate::{
    coerce::{TextBuffer, TextList, comparison_text},
    context::{Members, Node},
    limits::Limits,
    number::{StackText, compare_doubles, parse_double},
    pattern::Pattern,
    short::Short,
    values::{Seen, ValueSet},
    version::Version,
};

/// The value that stands for an absent property.
const NONE: &str = "(none)";

/// ASCII text up to this length is lower-cased on the stack.
const LOWERED_ON_STACK: usize = 256;

/// A condition's operator and values, with everything that depends on them alone worked out.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "four facts that are independent of each other"
)]
pub(crate) struct Matcher {
    pub(crate) operator: Operator,
    pub(crate) values: ValueSet,
    test: Test,
    /// The operator says that the test must fail.
    negated: bool,
    /// The answer for a property that is absent.
    pub(crate) when_absent: bool,
    /// One of the values is `true` (`false`), letter case aside.
    has_true: bool,
    has_false: bool,
    /// The values, if `is` and `is not` can compare short texts with them and need nothing else.
    short: Option<Box<[Short]>>,
}

/// What is tested, apart from negation.
#[derive(Debug)]
enum Test {
    Is,
    Contains(Box<[Finder<'static>]>),
    Number(Order, Box<[f64]>),
    Version(Order, Box<[Version<Text>]>),
    Regex(Box<[Arc<Pattern>]>),
    Set(SetTest),
    /// An unknown operator: false, negated or not.
    Never,
}

#[derive(Clone, Copy, Debug)]
enum SetTest {
    Is,
    Contains,
    ContainsAny,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Matcher {
    /// Prepares a condition. `patterns` are the compiled values of a regex operator that could be
    /// compiled; other operators ignore them.
    pub(crate) fn new(operator: &Operator, values: &[Text], patterns: Vec<Arc<Pattern>>) -> Self {
        let values = ValueSet::new(values);
        let (test, negated) = match operator {
            Operator::Is => (Test::Is, false),
            Operator::IsNot => (Test::Is, true),
            Operator::Contains => (Test::Contains(needles(&values)), false),
            Operator::DoesNotContain => (Test::Contains(needles(&values)), true),
            Operator::Less => (Test::Number(Order::Less, numbers(&values)), false),
            Operator::LessOrEqual => (Test::Number(Order::LessOrEqual, numbers(&values)), false),
            Operator::Greater => (Test::Number(Order::Greater, numbers(&values)), false),
            Operator::GreaterOrEqual => {
                (Test::Number(Order::GreaterOrEqual, numbers(&values)), false)
            }
            Operator::VersionLess => (Test::Version(Order::Less, versions(&values)), false),
            Operator::VersionLessOrEqual => {
                (Test::Version(Order::LessOrEqual, versions(&values)), false)
            }
            Operator::VersionGreater => (Test::Version(Order::Greater, versions(&values)), false),
            Operator::VersionGreaterOrEqual => (
                Test::Version(Order::GreaterOrEqual, versions(&values)),
                false,
            ),
            Operator::SetIs => (Test::Set(SetTest::Is), false),
            Operator::SetIsNot => (Test::Set(SetTest::Is), true),
            Operator::SetContains => (Test::Set(SetTest::Contains), false),
            Operator::SetDoesNotContain => (Test::Set(SetTest::Contains), true),
            Operator::SetContainsAny => (Test::Set(SetTest::ContainsAny), false),
            Operator::SetDoesNotContainAny => (Test::Set(SetTest::ContainsAny), true),
            Operator::RegexMatch => (Test::Regex(patterns.into_boxed_slice()), false),
            Operator::RegexDoesNotMatch => (Test::Regex(patterns.into_boxed_slice()), true),
            _ => (Test::Never, false),
        };
        let none = values.contains(NONE);
        let when_absent = match operator {
            Operator::RegexMatch | Operator::Unknown(_) => false,
            // The canonical engine answers true here whatever the values are (D2).
            Operator::RegexDoesNotMatch | Operator::SetIsNot => true,
            _ => none != negated,
        };
        let spelled = |word: &str| {
            values
                .values()
                .iter()
                .any(|text| text.eq_ignore_ascii_case(word))
        };
        let (has_true, has_false) = (spelled("true"), spelled("false"));
        let short = match test {
            Test::Is if !has_true && !has_false && values.is_listed() => values
                .values()
                .iter()
                .map(|value| Short::new(value))
                .collect(),
            _ => None,
        };
        Self {
            operator: operator.clone(),
            short,
            test,
            negated,
            when_absent,
            has_true,
            has_false,
            values,
        }
    }

    /// Whether short text can be compared by [`matches_short`](Self::matches_short).
    #[inline]
    pub(crate) fn takes_short(&self) -> bool {
        self.short.is_some()
    }

    /// Whether short text satisfies the condition, if the condition [takes](Self::takes_short) it.
    #[inline]
    pub(crate) fn matches_short(&self, text: Short) -> bool {
        self.short.as_deref().unwrap_or_default().contains(&text) != self.negated
    }

    /// Whether `node` satisfies the condition.
    #[inline]
    pub(crate) fn matches(&self, node: Node<'_>, limits: &Limits) -> bool {
        match (node, &self.test) {
            (Node::Text(text), kind) if text.as_bytes().first() != Some(&b'[') => match kind {
                Test::Is => self.is(text) != self.negated,
                Test::Set(_) => false,
                _ => self.text_matches(text, limits),
            },
            _ => self.matches_any(node, limits),
        }
    }

    #[inline(never)]
    fn matches_any(&self, node: Node<'_>, limits: &Limits) -> bool {
        if node.is_null() {
            return self.when_absent;
        }
        let list = TextList::of(node, limits.text_length);
        match (&self.test, list) {
            (Test::Set(test), Some(TextList::Members(members))) => {
                self.members_match(*test, members) != self.negated
            }
            (Test::Set(test), Some(list)) => {
                self.set_matches(*test, &list, limits.nesting) != self.negated
            }
            (Test::Set(_), None) => false,
            (Test::Is, Some(TextList::Members(members))) => self.any_member_is(members),
            (_, Some(TextList::Members(_))) => self.when_absent,
            // Any element, for negations too: `is not "a"` holds for ["a", "b"].
            (_, Some(list)) => list.any(limits.nesting, |text| self.text_matches(text, limits)),
            (_, None) => {
                let mut buffer = TextBuffer::new();
                match comparison_text(node, &mut buffer, limits.nesting) {
                    Some(text) => self.text_matches(text, limits),
                    None => self.when_absent,
                }
            }
        }
    }

    #[inline(never)]
    fn text_matches(&self, text: &str, limits: &Limits) -> bool {
        let tested = match &self.test {
            Test::Is => self.is(text),
            Test::Version(order, versions) => self.version_is_ordered(*order, versions, text),
            Test::Regex(patterns) => {
                text.len() <= limits.text_length
                    && patterns.iter().any(|pattern| pattern.is_match(text))
            }
            Test::Number(order, numbers) => self.number_is_ordered(*order, numbers, text),
            Test::Contains(needles) => text.len() <= limits.text_length && contains(text, needles),
            Test::Set(_) | Test::Never => return false,
        };
        tested != self.negated
    }

    fn number_is_ordered(&self, order: Order, numbers: &[f64], text: &str) -> bool {
        match parse_double(text) {
            Some(number) if !numbers.is_empty() => numbers
                .iter()
                .any(|&value| order.holds(compare_doubles(number, value))),
            _ => self.text_is_ordered(order, text),
        }
    }

    fn version_is_ordered(&self, order: Order, versions: &[Version<Text>], text: &str) -> bool {
        match Version::parse(text) {
            Some(version) if !versions.is_empty() => versions
                .iter()
                .any(|value| order.holds(version.compare(value))),
            _ => self.text_is_ordered(order, text),
        }
    }

    /// Whether the text equals a value; `true` and `false` equal theirs whatever the letter case.
    #[inline]
    fn is(&self, text: &str) -> bool {
        self.values.contains(text)
            || (self.has_true && text.eq_ignore_ascii_case("true"))
            || (self.has_false && text.eq_ignore_ascii_case("false"))
    }

    /// What numbers and versions fall back to: the order of UTF-16 code units.
    #[inline(never)]
    fn text_is_ordered(&self, order: Order, text: &str) -> bool {
        self.values
            .values()
            .iter()
            .any(|value| order.holds(compare_utf16(text, value)))
    }

    fn set_matches(&self, test: SetTest, list: &TextList<'_>, nesting: usize) -> bool {
        match test {
            SetTest::ContainsAny => list.any(nesting, |text| self.is(text)),
            SetTest::Is => {
                let mut seen = Seen::none_of(self.values.values().len());
                let foreign = list.any(nesting, |text| match self.values.position(text) {
                    Some(position) => {
                        seen.note(position);
                        false
                    }
                    None => true,
                });
                !foreign && seen.count() == self.values.values().len()
            }
            SetTest::Contains => self.all_in(list, nesting),
        }
    }

    /// Whether the list has every value, and at least as many different texts as there are values.
    fn all_in(&self, list: &TextList<'_>, nesting: usize) -> bool {
        let values = self.values.values();
        let mut seen = Seen::none_of(values.len());
        let (mut any_true, mut any_false) = (false, false);
        let mut all = |text: &str| {
            any_true |= self.has_true && text.eq_ignore_ascii_case("true");
            any_false |= self.has_false && text.eq_ignore_ascii_case("false");
            if let Some(position) = self.values.position(text) {
                seen.note(position);
            }
            seen.count() == values.len()
        };
        if list.any(nesting, &mut all) || values.is_empty() {
            return true;
        }
        // What is still missing may be spellings of `true` and `false`, which one spelling in the
        // list satisfies; but then the list must have enough other texts.
        let covered = values.iter().enumerate().all(|(position, value)| {
            seen.has(position)
                || (any_true && value.eq_ignore_ascii_case("true"))
                || (any_false && value.eq_ignore_ascii_case("false"))
        });
        covered && {
            let mut texts: HashSet<Text> = HashSet::new();
            list.any(nesting, |text| {
                texts.insert(Text::new(text));
                texts.len() >= values.len()
            })
        }
    }

    fn members_match(&self, test: SetTest, members: &dyn Members) -> bool {
        let values = self.values.values();
        match test {
            SetTest::ContainsAny => self.members_that_are(members) > 0,
            SetTest::Contains => {
                // As in `all_in`: one spelling of `true` satisfies the others.
                let has =
                    |word| spellings(word).any(|spelling| members.contains(spelling.as_str()));
                let any_true = self.has_true && has("true");
                let any_false = self.has_false && has("false");
                members.len() >= values.len()
                    && values.iter().all(|value| {
                        members.contains(value)
                            || (any_true && value.eq_ignore_ascii_case("true"))
                            || (any_false && value.eq_ignore_ascii_case("false"))
                    })
            }
            SetTest::Is => {
                members.len() == values.len() && values.iter().all(|value| members.contains(value))
            }
        }
    }

    /// `is`: some member is a value. `is not`: some member is none.
    fn any_member_is(&self, members: &dyn Members) -> bool {
        let found = self.members_that_are(members);
        if self.negated {
            members.len() > found
        } else {
            found > 0
        }
    }

    /// How many members equal a value, as [`is`](Self::is) has it.
    fn members_that_are(&self, members: &dyn Members) -> usize {
        let values = self.values.values().iter();
        let listed = values.filter(|value| members.contains(value)).count();
        let words = [(self.has_true, "true"), (self.has_false, "false")];
        let spelled = words
            .into_iter()
            .filter(|(has, _)| *has)
            .flat_map(|(_, word)| spellings(word))
            .filter(|spelling| !self.values.contains(spelling.as_str()))
            .filter(|spelling| members.contains(spelling.as_str()))
            .count();
        listed.saturating_add(spelled)
    }
}

/// Every way to write a short word of lower-case letters in lower and upper case: members can only
/// be asked, so this is how letter case is put aside.
fn spellings(word: &'static str) -> impl Iterator<Item = StackText<5>> {
    (0_u32..1 << word.len()).map(move |upper| {
        let mut spelling = StackText::new();
        for (at, letter) in word.chars().enumerate() {
            let letter = if upper >> at & 1 == 1 {
                letter.to_ascii_uppercase()
            } else {
                letter
            };
            // There is room for `false`, the longer word.
            let _ = spelling.write_char(letter);
        }
        spelling
    })
}

fn needles(values: &ValueSet) -> Box<[Finder<'static>]> {
    values
        .values()
        .iter()
        .map(|value| Finder::new(&value.to_lowercase()).into_owned())
        .collect()
}

fn numbers(values: &ValueSet) -> Box<[f64]> {
    values
        .values()
        .iter()
        .filter_map(|value| parse_double(value))
        .collect()
}

fn versions(values: &ValueSet) -> Box<[Version<Text>]> {
    let own = |value: &Text| Version::parse(value).map(|version| version.map(Text::new));
    values.values().iter().filter_map(own).collect()
}

/// Whether the text contains one of the needles, letter case aside (full Unicode lower case).
#[inline(never)]
fn contains(text: &str, needles: &[Finder<'static>]) -> bool {
    let mut lowered = [0; LOWERED_ON_STACK];
    let place = lowered.get_mut(..text.len()).filter(|_| text.is_ascii());
    if let Some(lowered) = place {
        lowered.copy_from_slice(text.as_bytes());
        lowered.make_ascii_lowercase();
        return needles.iter().any(|needle| needle.find(lowered).is_some());
    }
    let lowered: String = text.to_lowercase();
    needles
        .iter()
        .any(|needle| needle.find(lowered.as_bytes()).is_some())
}

/// The order of UTF-16 code units, which differs from the order of code points where surrogates
/// meet U+E000 to U+FFFF.
fn compare_utf16(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}
